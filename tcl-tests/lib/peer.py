#!/usr/bin/env python3
"""A foreign or lying node, for hostile.tcl.

    peer.py wrong-hands --port P [...]         every wrong way to begin, against the peer port P
    peer.py wrong-words --port P --cluster HEX --me 2 --life HEX --target 0 --term T --pid PID
                                               a perfect handshake, then every wrong message
    peer.py bad-acceptor --port P --seconds S  listens where a node is expected and answers the
                                               dialers with garbage

The wrong-* programs print a line "ok CASE" or "FAIL CASE: why" for each case.  In each the
connection must be closed by the other side within --patience seconds (what may stay open says so),
and the process with --pid must not grow by more than 200 MB.
"""
import argparse
import hashlib
import hmac
import os
import re
import select
import socket
import struct
import sys
import time

CHANNELS = ["control", "entries", "commands"]
VERSION = 3
options = None


def multibulk(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        if isinstance(word, str):
            word = word.encode()
        out += b"$%d\r\n%b\r\n" % (len(word), word)
    return out


def own_life():
    """What the member that is played would say of its data directory."""
    return ["life=" + options.life, "starts=%d" % options.starts] if options.life else []


def find_starts():
    """How often it was started the others remember, and take no less."""
    while options.life and options.starts < 1000:
        got = dial()
        if not isinstance(got, str):
            got.close()
            return
        options.starts += 1


def hello_words(own, more=(), **changes):
    words = {"version": str(VERSION), "cluster": options.cluster, "me": str(options.me),
             "target": str(options.target), "channel": "control", "nonce": own.hex(),
             "address": "127.0.0.1:1"}
    words.update(changes)
    return ["RR.HELLO", *words.values(), *own_life(), *more]


def hello(own, **changes):
    return multibulk(*hello_words(own, **changes))


def digest(before, words):
    said = before + struct.pack("<I", len(words))
    for word in words:
        said += struct.pack("<I", len(word)) + word.encode()
    return hashlib.sha256(said).digest()


def proof(role, words, welcome, secret):
    """Of one who said or heard these words of a hello and this line of a welcome."""
    said = digest(digest(bytes(32), words), welcome.decode().rstrip("\r\n").split(" "))
    return hmac.new(secret, role + said, hashlib.sha256).hexdigest()


def dial(channel="control", secret=None, more=()):
    """The whole handshake; the socket, or a string that says what went wrong."""
    secret = options.secret.encode() if secret is None else secret
    sock = socket.create_connection(("127.0.0.1", options.port), timeout=5)
    words = hello_words(os.urandom(16), more, channel=channel)
    sock.sendall(multibulk(*words))
    welcome = read_line(sock)
    if not welcome.startswith(b"+OK "):
        return welcome.decode("latin1")
    sock.sendall(multibulk("RR.PROVE", proof(b"D", words, welcome, secret)))
    line = read_line(sock)
    if not line.startswith(b"+OK "):
        return line.decode("latin1")
    answer = b"+OK %s\r\n" % proof(b"A", words, welcome, options.secret.encode()).encode()
    return sock if line == answer else "a wrong answer: %r" % line


def read_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            return line or b"closed"
        line += byte
    return line


def rss_mb():
    if not options.pid:
        return 0
    with open("/proc/%d/status" % options.pid) as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0


def closed_within(sock, seconds):
    """Whether the other side closes; what it says before does not matter."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        ready, _, _ = select.select([sock], [], [], left)
        if not ready:
            return False
        try:
            if not sock.recv(65536):
                return True
        except OSError:
            return True


def report(name, problem):
    print("FAIL %s: %s" % (name, problem) if problem else "ok %s" % name, flush=True)


# ---- wrong beginnings ----------------------------------------------------------------------------


def wrong_hands():
    nonce = os.urandom(16)
    good = hello(nonce)
    cases = {
        "nothing at all": b"",
        "half a hello": good[:20],
        "a client's PING": b"PING\r\n",
        "a client's SET": multibulk("SET", "hostile", "1"),
        "a client's HELLO": multibulk("HELLO", "3"),
        "zeros": b"\0" * 4096,
        "random bytes": os.urandom(65536),
        "an endless line": b"x" * 200000,
        "an endless multibulk header": b"*" + b"1" * 100000,
        "a million words": b"*1000000\r\n",
        "a word of a gigabyte": b"*8\r\n$1073741824\r\n" + b"x" * 100000,
        "a negative count": b"*-5\r\n$3\r\nabc\r\n",
        "a web browser": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a TLS client": bytes.fromhex("16030102000100") + os.urandom(500),
        "another version": hello(nonce, version="999"),
        "a negative version": hello(nonce, version="-1"),
        "another cluster": hello(nonce, cluster="0123456789abcdef"),
        "a malformed cluster": hello(nonce, cluster="xyz"),
        "a node that is no member": hello(nonce, me="77"),
        "the node itself": hello(nonce, me=str(options.target)),
        "meant for another node": hello(nonce, target=str(options.me)),
        "an unknown channel": hello(nonce, channel="gossip"),
        "a short nonce": hello(nonce, nonce="abcd"),
        "an address with a line break": hello(nonce, address="a\r\nb"),
        "an address of 500 bytes": hello(nonce, address="a" * 500),
        "a hello of one word": multibulk("RR.HELLO"),
        "a hello of nine words": multibulk("RR.HELLO", *"12345678"),
        "a proof without a hello": multibulk("RR.PROVE", "00" * 32),
        "a message without a handshake": multibulk("TIMEOUTNOW", struct.pack("<3Q", 2, 0, 99)),
        "a hello and garbage": good + b"garbage garbage\r\n",
        "a hello and a wrong proof": good + multibulk("RR.PROVE", "00" * 32),
        "a hello and a short proof": good + multibulk("RR.PROVE", "00"),
        "a hello and a message": good + multibulk("TIMEOUTNOW", struct.pack("<3Q", 2, 0, 99)),
        "two hellos": good + good,
    }
    # Who says hello in a wrong way is told so, before anybody proves anything.
    for name in ("another version", "another cluster", "a malformed cluster",
                 "a node that is no member", "the node itself", "meant for another node",
                 "an unknown channel", "a short nonce", "an address with a line break",
                 "a proof without a hello"):
        sock = socket.create_connection(("127.0.0.1", options.port), timeout=5)
        sock.sendall(cases[name])
        line = read_line(sock)
        report("%s, told so" % name, None if line.startswith(b"-ERR ") else "answered %r" % line)
        sock.close()
    before = rss_mb()
    socks = {}
    for name, bytes_ in cases.items():
        socks[name] = socket.create_connection(("127.0.0.1", options.port), timeout=5)
        try:
            socks[name].sendall(bytes_)
        except OSError:
            pass  # closed while we wrote: just right
    deadline = time.monotonic() + options.patience
    for name, sock in socks.items():
        left = max(0.1, deadline - time.monotonic())
        report(name, None if closed_within(sock, left) else "the connection stays open")
    report("memory", None if rss_mb() - before < 200 else "grew from %d to %d MB"
           % (before, rss_mb()))
    secrets = [b"wrong", b"wrong" * 1000]
    if options.secret:
        secrets.append(b"")
    for secret in secrets:
        got = dial(secret=secret)
        report("a wrong secret", None if isinstance(got, str) else "was accepted")
    # What a later version says more of itself is skipped.
    got = dial(more=("colour=blue", "taste="))
    report("more words", got if isinstance(got, str) else None)
    # A proof that was overheard is of no use a second time, and nothing is proved to a stranger.
    words = hello_words(nonce)
    sock = socket.create_connection(("127.0.0.1", options.port), timeout=5)
    sock.sendall(good)
    welcome = read_line(sock)
    told = rb"\+OK [0-9a-f]{32}( life=[0-9a-f]{16} starts=[0-9]+ list=[0-9]+( name=[0-9a-f]{16})?)?\r\n"
    report("what a stranger is told", None if re.fullmatch(told, welcome) else "%r" % welcome)
    overheard = multibulk("RR.PROVE", proof(b"D", words, welcome, options.secret.encode()))
    sock.sendall(overheard)
    ok = read_line(sock).startswith(b"+OK ")
    again = socket.create_connection(("127.0.0.1", options.port), timeout=5)
    again.sendall(good)
    read_line(again)
    again.sendall(overheard)
    answer = read_line(again)
    report("a proof used twice", None if ok and not answer.startswith(b"+OK")
           else "%s, then %r" % (ok, answer))


# ---- wrong messages --------------------------------------------------------------------------------


def route(sender=None, receiver=None, term=None):
    return struct.pack("<3Q", options.me if sender is None else sender,
                       options.target if receiver is None else receiver,
                       options.term if term is None else term)


def append_fields(prev_term=0, prev_index=0, commit=0, round_=1, count=0, **where):
    return route(**where) + struct.pack("<4QI", prev_term, prev_index, commit, round_, count)


def entry(term, kind=0, size=0, payload=b""):
    return struct.pack("<QBI", term, kind, size) + payload


def forward(kind=1, protocol=2, ident=1, term=None, client=1):
    return struct.pack("<4QBBI", 1, ident, options.term if term is None else term, client, kind,
                       protocol, 0)


def command(*words):
    return struct.pack("<I", len(words)) + b"".join(
        struct.pack("<I", len(w)) + w for w in (x.encode() for x in words))


def wrong_words():
    big = (1 << 63) + 5
    old = options.term
    # (channel, bytes, must the connection be closed)
    cases = {
        "an unknown message": ("control", multibulk("NONSENSE", "x"), True),
        "no words": ("control", b"*0\r\n", None),
        "an inline command": ("control", b"PING\r\n", True),
        "a vote that is too short": ("control", multibulk("VOTE", b"abc"), True),
        "a vote without fields": ("control", multibulk("VOTE"), True),
        "a vote in another's name": ("control", multibulk("VOTE", route(sender=78)
                                                          + struct.pack("<QQB", 0, 0, 1)), True),
        "a vote for another node": ("control", multibulk("VOTE", route(receiver=77)
                                                         + struct.pack("<QQB", 0, 0, 1)), True),
        "a vote of term 2^63": ("control", multibulk("VOTE", route(term=big)
                                                     + struct.pack("<QQB", 0, 0, 1)), True),
        "a vote for an impossible log": ("control", multibulk("VOTE", route(term=old)
                                                              + struct.pack("<QQB", big, big, 1)),
                                         True),
        "unknown flags": ("control", multibulk("VOTED", route() + b"\xff"), True),
        "an append with fewer entries than announced":
            ("entries", multibulk("APPEND", append_fields(count=5), entry(1)), True),
        "an append with more entries than announced":
            ("entries", multibulk("APPEND", append_fields(count=1), entry(1) + entry(1)), True),
        "an append of four billion entries":
            ("entries", multibulk("APPEND", append_fields(count=0xffffffff), b"x" * 100), True),
        "an entry longer than its message":
            ("entries", multibulk("APPEND", append_fields(count=1), entry(1, size=1000)), True),
        "an entry of a later term":
            ("entries", multibulk("APPEND", append_fields(count=1), entry(old + 5)), True),
        "an entry of term 0":
            ("entries", multibulk("APPEND", append_fields(count=1), entry(0)), True),
        "an entry of unknown type":
            ("entries", multibulk("APPEND", append_fields(count=1), entry(1, kind=99)), True),
        "an append at an impossible position":
            ("entries", multibulk("APPEND", append_fields(prev_term=big, prev_index=big)), True),
        "an append with an index and no term":
            ("entries", multibulk("APPEND", append_fields(prev_term=0, prev_index=7)), True),
        "a count without entries":
            ("entries", multibulk("APPEND", append_fields(count=3)), True),
        "an answer with unknown flags":
            ("control", multibulk("APPENDED", route() + struct.pack("<3QB", 1, 1, 1, 7)), True),
        "a forward that is too short": ("commands", multibulk("FORWARD", b"abc", b""), True),
        "a forward of unknown kind":
            ("commands", multibulk("FORWARD", forward(kind=9), command("GET", "k")), True),
        "a forward of unknown protocol":
            ("commands", multibulk("FORWARD", forward(protocol=7), command("GET", "k")), True),
        "a gigabyte announced":
            ("entries", b"*3\r\n$6\r\nAPPEND\r\n$60\r\n" + append_fields(count=1)
             + b"\r\n$1073741824\r\n" + b"x" * 1000, None),
        "two gigabytes announced":
            ("entries", b"*3\r\n$6\r\nAPPEND\r\n$60\r\n" + append_fields(count=1)
             + b"\r\n$2147483648\r\n", True),
        "a gigabyte announced in pieces, and its first one":
            ("entries", multibulk("PIECE", struct.pack("<II", 1 << 30, 0), b"x" * (1 << 20)), None),
        "more than any payload announced in pieces":
            ("commands", multibulk("PIECE", struct.pack("<II", 0xffffffff, 0), b"x" * (1 << 20)),
             True),
        "a piece from the middle":
            ("entries", multibulk("PIECE", struct.pack("<II", 3 << 20, 1 << 20), b"x" * (1 << 20)),
             True),
        "the same piece twice":
            ("commands", multibulk("PIECE", struct.pack("<II", 3 << 20, 0), b"x" * (1 << 20)) * 2,
             True),
        "a piece that is too short":
            ("entries", multibulk("PIECE", struct.pack("<II", 3 << 20, 0), b"x" * 1000), True),
        "a piece on the control channel":
            ("control", multibulk("PIECE", struct.pack("<II", 3 << 20, 0), b"x" * (1 << 20)), True),
        "a piece, then another message":
            ("entries", multibulk("PIECE", struct.pack("<II", 3 << 20, 0), b"x" * (1 << 20))
             + multibulk("APPEND", append_fields(count=1), entry(1)), True),
        "all pieces, then an entry of another size":
            ("entries", b"".join(multibulk("PIECE", struct.pack("<II", 2 << 20, at << 20),
                                           b"x" * (1 << 20)) for at in (0, 1))
             + multibulk("APPEND", append_fields(count=1), entry(1, size=(2 << 20) - 1)[:13]), True),
        "half a message": ("entries", multibulk("APPEND", append_fields())[:30], None),
        # From here on well-formed, but lies: nothing has to be closed, all must live on.
        "a reply to a forward that was never sent":
            ("commands", multibulk("FORWARDED", struct.pack("<QQBB", 1, 77, 0, 0), b"+OK\r\n"),
             None),
        "a reply that is no RESP":
            ("commands", multibulk("FORWARDED", struct.pack("<QQBB", 1, 78, 0, 0), b"garbage"),
             None),
        "a forward of a malformed command":
            ("commands", multibulk("FORWARD", forward(), b"\xff\xff\xff\xff"), None),
        "a forward of no command":
            ("commands", multibulk("FORWARD", forward(), command()), None),
        "a forward of an unknown command":
            ("commands", multibulk("FORWARD", forward(), command("NOSUCH", "x")), None),
        "a forward of a command with the wrong arity":
            ("commands", multibulk("FORWARD", forward(), command("SET", "x")), None),
        "a forward of a local command":
            ("commands", multibulk("FORWARD", forward(), command("CLIENT", "LIST")), None),
        "a write forwarded as a read":
            ("commands", multibulk("FORWARD", forward(kind=0), command("SET", "hostile", "1")),
             None),
        "a read forwarded as a write":
            ("commands", multibulk("FORWARD", forward(kind=1), command("GET", "hostile")), None),
        "an answer about entries that do not exist":
            ("control", multibulk("APPENDED", route() + struct.pack("<3QB", 1, 1 << 40, 1, 1)),
             None),
        "an answer of another term about entries that exist":
            ("control", multibulk("APPENDED", route() + struct.pack("<3QB", 1 << 30, 1, 1, 1)),
             None),
        "votes nobody asked for": ("control", multibulk("VOTED", route() + b"\x01") * 3, None),
        "an append of the present term from one who does not lead":
            ("entries", multibulk("APPEND", append_fields()), None),
        "forwards on the wrong channel":
            ("control", multibulk("FORWARD", forward(), command("GET", "k")), None),
    }
    before = rss_mb()
    for name, (channel, bytes_, must_close) in cases.items():
        if options.case and options.case != name:
            continue
        sock = dial(channel)
        if isinstance(sock, str):
            report(name, "the handshake fails: %s" % sock)
            continue
        try:
            sock.sendall(bytes_)
        except OSError:
            pass
        if must_close:
            report(name, None if closed_within(sock, options.patience) else "stays open")
        else:
            closed_within(sock, 0.1)
            report(name, None)
        if rss_mb() - before > 200:
            report(name, "memory grew from %d to %d MB" % (before, rss_mb()))
            before = rss_mb()
        sock.close()


# ---- the other side ----------------------------------------------------------------------------------


def listen():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", options.port))
    sock.listen(16)
    sock.settimeout(15)
    return sock


def bad_acceptor():
    answers = [b"", b"garbage\r\n", b"+OK\r\n", b"+OK 00 00\r\n", b"-ERR go away\r\n",
               b"x" * 200000, b"+OK " + b"0" * 32 + b" " + b"0" * 64 + b"\r\n",
               b"*3\r\n$1\r\n", os.urandom(10000)]
    server = listen()
    server.settimeout(0.2)
    end = time.monotonic() + options.seconds
    count, open_ = 0, []
    while time.monotonic() < end:
        try:
            sock, _ = server.accept()
        except socket.timeout:
            continue
        try:
            sock.sendall(answers[count % len(answers)])
        except OSError:
            pass
        # Some are left open, as by a host that hangs.
        if count % 3:
            sock.close()
        else:
            open_.append(sock)
        count += 1
    print("dialed", count)


def main():
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["wrong-hands", "wrong-words", "bad-acceptor"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--cluster", default="0")
    parser.add_argument("--me", type=int, default=2)
    parser.add_argument("--target", type=int, default=0)
    parser.add_argument("--life", default="")
    parser.add_argument("--term", type=int, default=1)
    parser.add_argument("--secret", default="")
    parser.add_argument("--pid", type=int, default=0)
    parser.add_argument("--patience", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--case", default="")
    options = parser.parse_args()
    options.starts = 1
    find_starts()
    {"wrong-hands": wrong_hands, "wrong-words": wrong_words,
     "bad-acceptor": bad_acceptor}[options.mode]()


if __name__ == "__main__":
    sys.exit(main())
