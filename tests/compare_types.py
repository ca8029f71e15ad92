#!/usr/bin/env python3
"""Says long random sequences of commands over all types, in pipelines, to a redis-server and to a
redis-raft node, compares every reply, and what both hold behind each sequence.

    compare_types.py [--commands N | --for SECONDS] [--seed S] [--only THEME] REDIS_PORT OUR_PORT

Both are emptied before each sequence.  One has a theme, which says what commands are in it, and
RESP2 or RESP3; it follows from the seed and its number alone, so `--seed S --sequence I` says it
again.  Into all of them come deadlines, payloads of RESTORE and transactions, some with a WATCH that
another connection breaks.  What differs is made as short as it goes and still differs, and printed;
exit status 1.  What differs on purpose is in compare_known.py.

The commands are those of compare_collections.py, compare_strings.py and compare_redis.py, which say
one at a time; compare_dump.py made the payloads.  Both servers have to serve DEBUG, for its digests.
"""
import argparse
import random
import select
import socket
import sys
import time

import compare_collections
import compare_dump
import compare_redis
import compare_strings
from compare_collections import CHOICES, SCANS, check_choice, pairs, read, shape
from compare_known import HITS, INEXACT, UNWATCHED, known
from compare_redis import encode

SEQUENCE = 4000          # commands, and what belongs together with the last
CHUNK = 400              # commands that are sent at once
CHUNK_BYTES = 1 << 18
SILENCE_S = 60           # that is no answer any more
SHORTER_TRIES = 400      # to make what differs shorter
DATABASES = ["0", "1", "2", "15"]
PAUSE = "pause"          # instead of words: everything is answered, then a moment passes
PAUSE_S = 0.03

# ---- connections --------------------------------------------------------------------------------


def split(data, at, count, replies):
    """Puts up to `count` replies that begin at `at` into the list; where the first begins that is not
    there or not whole."""
    while count > 0:
        begin, pending = at, 1
        while pending:
            end = data.find(b"\r\n", at)
            if end < 0:
                return begin
            mark = data[at]
            if mark in b"$=!":
                length = int(data[at + 1:end])
                at = end + 2 if length < 0 else end + length + 4
                if at > len(data):
                    return begin
            else:
                if mark in b"*~>%":
                    pending += max(int(data[at + 1:end]), 0) * (2 if mark == 37 else 1)
                at = end + 2
            pending -= 1
        replies.append(bytes(data[begin:at]))
        count -= 1
    return at


class Side:
    """One server's end of a connection: sends a chunk, gives as many replies."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), SILENCE_S)
        self.socket.setblocking(False)
        self.out = memoryview(b"")
        self.data = bytearray()
        self.replies = []
        self.wanted = 0

    def begin(self, data, count):
        self.out = memoryview(data)
        self.replies = []
        self.wanted = count
        self.send()

    def send(self):
        try:
            while self.out:
                self.out = self.out[self.socket.send(self.out):]
        except BlockingIOError:
            pass

    def receive(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError("a server closed the connection")
        self.data += data
        del self.data[:split(self.data, 0, self.wanted - len(self.replies), self.replies)]

    def is_done(self):
        return len(self.replies) == self.wanted


def finish(sides):
    while True:
        waiting = [s for s in sides if not s.is_done()]
        if not waiting:
            return
        readable, writable, _ = select.select([s.socket for s in waiting], [s.socket for s in waiting if s.out], [], SILENCE_S)
        if not readable and not writable:
            raise EOFError("no answer for %d s" % SILENCE_S)
        for side in waiting:
            if side.socket in writable:
                side.send()
            if side.socket in readable:
                side.receive()


class Pair:
    """A connection to both servers."""

    def __init__(self, ports):
        self.sides = [Side(port) for port in ports]

    def begin(self, commands):
        data = b"".join(map(encode, commands))
        for side in self.sides:
            side.begin(data, len(commands))

    def finish(self):
        finish(self.sides)
        return self.sides[0].replies, self.sides[1].replies

    def ask(self, *commands):
        self.begin(commands)
        return self.finish()

    def close(self):
        for side in self.sides:
            side.socket.close()


# ---- what is said -------------------------------------------------------------------------------


def payloads():
    """Of RESTORE: every old form, some damaged where all can tell; made once, the checksum is slow here."""
    rng = random.Random(7)
    made = []
    for _ in range(12):
        for _, body in compare_dump.old_payloads(rng):
            if len(body) < 6000:
                made.append(compare_dump.seal(body))
    made += [made[5][:-1], made[9] + b"x", b"", b"x" * 9, compare_dump.seal(b"\0\1v", 99)]
    return made


def everything(name, key):
    """What says all that a choice may give."""
    return {"HRANDFIELD": ["HGETALL", key], "SRANDMEMBER": ["SMEMBERS", key],
            "ZRANDMEMBER": ["ZRANGE", key, "0", "-1", "WITHSCORES"]}[name]


class Sequence:
    """A sequence: lists of what belongs together, of (number of a connection, words)."""

    COLLECTIONS = {
        "hash": ["hash"] * 9 + ["keys"], "set": ["set"] * 9 + ["keys"], "zset": ["zset"] * 9 + ["keys"],
        "list": ["list"] * 9 + ["keys"], "geo": ["geo"] * 9 + ["keys"], "stream": ["stream"] * 9 + ["keys"],
        "sort": ["sort", "list", "set", "zset", "hash", "keys"],
        "collections": ["hash"] * 3 + ["set"] * 4 + ["zset"] * 4 + ["list"] * 3 + ["geo"] * 2 + ["stream"] * 4 + ["sort", "keys"],
    }
    STRINGS = ["bits", "bitfield", "lcs", "hll", "pages"]
    # How often, of all.  What is slow in Redis (LCS), long (pages) or to make (hll) comes more seldom.
    THEMES = dict(hash=5, set=5, zset=6, list=5, geo=3, stream=7, sort=3, collections=8, bits=4, bitfield=4, lcs=1, hll=1,
                  pages=1, plain=6, databases=6)
    # They come one at a time, alone: their replies are long.
    ALONE = ("lcs", "hll", "pages")

    def __init__(self, seed, number, only):
        self.rng = random.Random("%s/%d" % (seed, number))
        weighted = [t for t, weight in self.THEMES.items() for _ in range(weight) if not only or t in only]
        self.theme = self.rng.choice(weighted)
        self.protocol = 2 + self.rng.randrange(2)
        self.collections = compare_collections.Commands(self.rng)
        self.collections.groups = self.COLLECTIONS.get(self.theme) or self.COLLECTIONS["collections"]
        self.strings = compare_strings.Strings(self.rng)
        self.strings.groups = [self.theme] if self.theme in self.STRINGS else ["bits", "bitfield"]
        self.damaged = set()  # keys that may hold a HyperLogLog that is none

    def command(self):
        theme = self.theme
        if theme == "databases":
            theme = self.rng.choice(["collections", "bits", "plain", "plain"])
        if theme == "plain":
            return [[str(w) for w in compare_redis.random_command(self.rng)]]
        if theme in self.STRINGS:
            return self.harmless(self.strings.next())
        said = self.of_collections()
        while self.collections.queued:  # a consumer that is made before it is named
            said += self.of_collections()
        return said

    def of_collections(self):
        words = self.collections.next()
        if "sort" in self.collections.groups:
            # SORT finds errno there as a number out of range left it.
            words = ["1e300" if w in ("1e400", "1e4932") else w for w in words]
        name = words[0].upper()
        if name.startswith("GEO") and "COUNT" in words and {"STORE", "STOREDIST", "GEOSEARCHSTORE"} & set(words):
            at = words.index("COUNT")
            words = words[:at] + words[at + 2:]
        if name == "XSETID" and len(words) > 1:
            return [words, ["DEL", words[1]]]
        if name in SCANS and len(words) > 2 and words[1 if name == "SCAN" else 2] not in ("0", "x", "-", ""):
            words = [name]
        if name == "SPOP" and words[2:] not in (["0"], ["-1"], ["x"], ["100000"], ["9223372036854775807"]):
            words = ["SPOP"]
        if name in CHOICES and len(words) > 2:
            if words[0] == "SRANDMEMBER" and words[2].startswith("-922"):
                words = words[:2] + ["-5"]
            return [everything(name, words[1]), words]
        return [words]

    def harmless(self, words):
        """Where a damaged HyperLogLog may be met, what came before the damage stays done in Redis, and
        nothing here: the key is deleted."""
        name = words[0].upper()
        if name == "SET":
            self.damaged.discard(words[1])
            if isinstance(words[2], bytes) and words[2].startswith(b"HYLL"):
                self.damaged.add(words[1])
        if name in ("PFADD", "PFMERGE") and self.damaged & set(words[1:]):
            self.damaged.discard(words[1])
            return [words, ["DEL", words[1]]]
        return [words]

    def key(self):
        if self.theme in self.STRINGS:
            return self.strings.key()
        return self.rng.choice(compare_redis.WORDS[:6]) if self.theme == "plain" else self.collections.key()

    def deadline(self):
        """Relative ones lie further apart than the two servers do."""
        rng, key = self.rng, self.key()
        far = 1000 + 100 * rng.randrange(1000000)
        wrong = rng.choice(["x", "", "9223372036854775807", "-9223372036854775808", "9223372036854775", "1.5", "99999999999999999999"])
        when = rng.choice(["NX", "XX", "GT", "LT", "nx", "gt", "FOO"])
        at = rng.choice(["99999%05d" % rng.randrange(100000)] * 6 + ["1", "0", "-1", wrong])
        at_ms = rng.choice(["99999%08d" % rng.randrange(10**8)] * 6 + ["1", "0", "-1", wrong])
        seconds = rng.choice([str(far)] * 6 + ["0", "-1", "-100", wrong])
        ms = rng.choice([str(far * 1000)] * 6 + ["0", "-1", wrong])
        name, value = rng.choice([("EXPIRE", seconds), ("PEXPIRE", ms), ("EXPIREAT", at), ("PEXPIREAT", at_ms)])
        options = rng.choice([["EX", seconds], ["PX", ms], ["EXAT", at], ["PXAT", at_ms]])
        words = rng.choice([
            lambda: [name, key, value],
            lambda: [name, key, value],
            lambda: [name, key, value, when],
            lambda: [name, key, value, when, rng.choice(["XX", "GT", "LT"])],
            lambda: [rng.choice(["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]), key],
            lambda: [rng.choice(["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]), key],
            lambda: ["PERSIST", key],
            lambda: ["SET", key, "v"] + options + rng.choice([[], [], ["NX"], ["XX"], ["GET"], ["KEEPTTL"], ["EX", "5"]]),
            lambda: ["SET", key, "w", "KEEPTTL"],
            lambda: ["SETEX", key, seconds, "v"],
            lambda: ["PSETEX", key, ms, "v"],
            lambda: ["GETEX", key] + rng.choice([[], options, ["PERSIST"], options + ["PERSIST"], ["FOO"]]),
            lambda: ["COPY", key, self.key(), "REPLACE"],
            lambda: ["RENAME", key, self.key()],
        ])()
        # One that is over counts until the key is deleted, there by who looks at it, here by a tick.
        return [words, ["GET", key], ["DEL", key]] if words[0] == "SET" and "AT" in "".join(words[3:]) else [words]

    def restore(self):
        rng = self.rng
        ttl = rng.choice(["0"] * 5 + [str(10**6 + 10**5 * rng.randrange(1000)), "-1", "x"])
        words = ["RESTORE", self.key(), ttl, rng.choice(PAYLOADS)]
        words += rng.choice([["REPLACE"]] * 6 + [[], ["replace", "IDLETIME", "5"], ["REPLACE", "FREQ", "7"], ["FREQ", "x"], ["FOO"],
                                                ["IDLETIME", "-1"], ["IDLETIME", "1", "FREQ", "1"]])
        if rng.random() < 0.1:
            words[2] = rng.choice(["9999912345678", "1"])
            words += ["ABSTTL"]
        return words

    def database(self):
        rng = self.rng
        number = lambda: rng.choice(DATABASES * 4 + ["16", "x", "-1"])
        return rng.choice([
            lambda: ["SELECT", number()], lambda: ["SELECT", number()], lambda: ["MOVE", self.key(), number()],
            lambda: ["MOVE", self.key(), number()], lambda: ["SWAPDB", number(), number()],
            lambda: ["COPY", self.key(), self.key(), "DB", number()] + rng.choice([[], ["REPLACE"]]),
            lambda: ["DBSIZE"], lambda: ["FLUSHDB"] if rng.random() < 0.3 else ["DBSIZE"],
            lambda: ["FLUSHALL"] if rng.random() < 0.1 else ["DBSIZE"], lambda: ["RANDOMKEY", "x"],
        ])()

    def transaction(self):
        rng, said = self.rng, []
        if rng.random() < 0.3:
            said.append((0, ["WATCH"] + [self.key() for _ in range(rng.randrange(1, 4))]))
            words = self.command()[-1]
            if words[0].upper() not in UNWATCHED:
                said.append((rng.choice([0, 1, 1]), words))
        said.append((0, ["MULTI"]))
        for _ in range(rng.randrange(7)):
            said += [(0, words) for words in (self.command() if rng.random() < 0.8 else self.deadline())]
        if rng.random() < 0.1:
            said.append((0, rng.choice([["MULTI"], ["UNWATCH"], ["GET"], ["NOSUCH", "x"], ["WATCH", "k"]])))
        return said + [(0, rng.choice([["EXEC"]] * 5 + [["DISCARD"]]))]

    def next(self):
        chance = self.rng.random()
        if chance < 0.03:
            return self.transaction()
        if chance < 0.0303 and self.theme not in self.ALONE:
            return self.passing()
        if chance < 0.06:
            return [(0, words) for words in self.deadline()]
        if chance < 0.07 and self.theme not in self.ALONE:
            return [(0, self.restore())]
        if chance < 0.13 and self.theme == "databases":
            return [(0, self.database())]
        if chance < 0.1305:
            return [(0, self.rng.choice([["EXEC"], ["DISCARD"], ["UNWATCH"], ["MULTI", "x"], ["WATCH"]]))]
        return [(0, words) for words in self.command()]

    def passing(self):
        """A deadline that comes while it is waited for."""
        key = self.key()
        begin = self.rng.choice([[["SET", key, "v", "PX", "1"]], [["DEL", key], ["SADD", key, "a"], ["PEXPIRE", key, "1"]],
                                 [["PEXPIRE", key, "2"]]])
        return [(0, words) for words in begin] + [(0, PAUSE), (0, ["EXISTS", key]), (0, ["TYPE", key])]


PAYLOADS = payloads()

# ---- comparing ----------------------------------------------------------------------------------


class Difference(Exception):
    def __init__(self, at, words, theirs, ours):
        self.at, self.words, self.theirs, self.ours = at, words, theirs, ours


def are_alike(words, theirs, ours, said=frozenset()):
    if theirs == ours:
        return True
    if words[0].lower() in ("client", "scan"):
        line = [str(w) for w in words]
        return compare_redis.comparable(line, theirs) == compare_redis.comparable(line, ours)
    return shape(words, theirs) == shape(words, ours) or known(words, theirs, ours, said) is not None


def chosen_of(words, reply):
    """All that a choice may give, as check_choice() wants it."""
    _, value = read(reply)
    if not isinstance(value, list):
        return []
    if value and value[0][0] == b"*":
        return [tuple(v for _, v in item[1]) for item in value]
    return [(item[1],) for item in value] if words[0] == "SMEMBERS" else [(a[1], b[1]) for a, b in pairs(value)]


class Judge:
    """Compares the replies of one connection, one after the other: those of EXEC are those of what was
    queued."""

    def __init__(self):
        self.queue = None
        self.before = (None, [], b"")  # what was said right before
        self.said = set()  # names of commands

    def look(self, at, words, theirs, ours):
        name = words[0].upper()
        self.said.add("SORT" if name == "SORT_RO" else name)
        if name in ("HSET", "HMSET") and len(words) > 2 + 2 * 128:
            self.said.add("HSET of many")
        if self.queue is not None:
            if theirs == ours == b"+QUEUED\r\n":
                self.queue.append(words)
                return
            if name == "EXEC" and theirs[:1] == ours[:1] == b"*" and theirs != ours:
                self.look_into(at, theirs, ours)
            elif theirs != ours:
                raise Difference(at, words, theirs, ours)
            if name in ("EXEC", "DISCARD"):
                self.queue = None
            return
        if name == "MULTI" and theirs == b"+OK\r\n":
            self.queue = []
        if theirs != ours and not are_alike(words, theirs, ours, self.said):
            raise Difference(at, words, theirs, ours)
        if name in CHOICES and len(words) > 2 and self.before[:2] == (at - 1, everything(name, words[1])):
            if not check_choice(words, ours, chosen_of(*self.before[1:])):
                raise Difference(at, words + ["(chose what is not there)"], self.before[2], ours)
        self.before = (at, words, ours)

    def look_into(self, at, theirs, ours):
        parts = [], []
        for reply, part in zip((theirs, ours), parts):
            head = reply.index(b"\r\n") + 2
            split(reply, head, len(self.queue), part)
        if theirs.split(b"\r\n", 1)[0] != ours.split(b"\r\n", 1)[0]:
            raise Difference(at, ["EXEC"], theirs, ours)
        for words, a, b in zip(self.queue, *parts):
            if not are_alike(words, a, b, self.said):
                raise Difference(at, ["EXEC", "of"] + words, a, b)


def chunks(source, said):
    """What is sent at once: to one connection, not too much.  What comes from the source is kept in `said`."""
    chunk, size = [], 0
    for at, (who, words) in enumerate(source):
        said.append((who, words))
        if chunk and (chunk[0][1] != who or words == PAUSE or len(chunk) >= CHUNK or size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        if words == PAUSE:
            yield PAUSE
            continue
        chunk.append((at, who, words))
        size += sum(len(w) for w in words)
    if chunk:
        yield chunk


class Run:
    """Says a sequence to servers that are emptied, up to the first difference."""

    def __init__(self, ports, protocol, is_hll):
        self.pairs = [Pair(ports), Pair(ports)]
        self.judges = [Judge(), Judge()]
        self.is_hll = is_hll
        self.compared = 0
        self.inexact = sum(HITS[reason] for reason in INEXACT)
        for pair in self.pairs:
            pair.ask(["HELLO", str(protocol)])
        self.pairs[0].ask(["FLUSHALL"])

    def say(self, source, said):
        """While a chunk is answered, the next is made."""
        under_way = None
        for chunk in chunks(source, said):
            if under_way:
                self.look(under_way)
            if chunk == PAUSE:
                under_way = None
                time.sleep(PAUSE_S)
                continue
            self.pairs[chunk[0][1]].begin([words for _, _, words in chunk])
            under_way = chunk
        if under_way:
            self.look(under_way)
        self.compare_contents(len(said))

    def look(self, chunk):
        theirs, ours = self.pairs[chunk[0][1]].finish()
        judge = self.judges[chunk[0][1]]
        for (at, _, words), a, b in zip(chunk, theirs, ours):
            judge.look(at, words, a, b)
        self.compared += len(chunk)

    def same(self, at, commands):
        theirs, ours = self.pairs[1].ask(*commands)
        for words, a, b in zip(commands, theirs, ours):
            if not are_alike(words, a, b, self.judges[0].said | self.judges[1].said):
                raise Difference(at, words, a, b)
        return theirs

    def compare_contents(self, at):
        for database in DATABASES:
            listed = self.same(at, [["SELECT", database], ["KEYS", "*"], ["DBSIZE"]])[1]
            keys = [key for _, key in read(listed)[1]]
            if not keys:
                continue
            kinds = self.same(at, [["TYPE", key] for key in keys])
            commands = []
            for key, kind in zip(keys, kinds):
                commands += [["PEXPIRETIME", key], ["OBJECT", "ENCODING", key]]
                commands += {b"+string\r\n": [["GET", key]], b"+hash\r\n": [["HGETALL", key]], b"+set\r\n": [["SMEMBERS", key]],
                             b"+zset\r\n": [["ZRANGE", key, "0", "-1", "WITHSCORES"]], b"+list\r\n": [["LRANGE", key, "0", "-1"]],
                             b"+stream\r\n": [["XINFO", "STREAM", key, "FULL", "COUNT", "0"]]}.get(kind, [])
            self.same(at, commands)
        # (PFCOUNT is a write there.)
        if not self.is_hll and sum(HITS[reason] for reason in INEXACT) == self.inexact:
            self.same(at, [["DEBUG", "DIGEST"]])

    def close(self):
        for pair in self.pairs:
            pair.close()


# ---- what differs -------------------------------------------------------------------------------


def differs(ports, protocol, is_hll, said):
    run = Run(ports, protocol, is_hll)
    try:
        run.say(iter(said), [])
    except Difference as difference:
        return difference
    finally:
        run.close()
    return None


def shorten(ports, protocol, is_hll, said, difference):
    """Leaves away ever smaller parts, as long as something differs."""
    again = differs(ports, protocol, is_hll, said)
    if again is None:
        return said, difference, False
    difference, part, tries = again, len(said) // 2, 0
    said = said[:difference.at + 1]
    while part > 0 and tries < SHORTER_TRIES:
        at = 0
        while at < len(said) and tries < SHORTER_TRIES:
            tries += 1
            without = said[:at] + said[at + part:]
            again = differs(ports, protocol, is_hll, without)
            if again and again.words == difference.words:
                said, difference = without[:again.at + 1], again
            else:
                at += part
        part = min(part // 2, max(len(said) // 2, 1)) if part > 1 else 0
    return said, difference, True


def print_difference(ports, seed, number, sequence, said, difference):
    is_hll = sequence.theme == "hll"
    said, difference, comes_again = shorten(ports, sequence.protocol, is_hll, said[:difference.at + 1], difference)
    print("--seed %s --sequence %d: theme %s, RESP%d, %s" %
          (seed, number, sequence.theme, sequence.protocol, "shortened:" if comes_again else "not seen again; the last:"))
    for who, words in said[-60:]:
        print("   %s %s" % (["", "(another connection)"][who], words if len(repr(words)) < 1500 else repr(words)[:1500] + "..."))
    theirs, ours = difference.theirs, difference.ours
    common = next((i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b), 0)
    begin = common - 100 if common > 300 else 0
    print("  at %s%s\n  redis: %.800r\n  ours:  %.800r" % (repr(difference.words)[:1500], ", byte %d of the reply" % begin if begin else "",
                                                          theirs[begin:], ours[begin:]), flush=True)


def flatten(sequence, count):
    said = 0
    while said < count:
        part = sequence.next()
        said += len(part)
        yield from part


def one_sequence(args, ports, number, count):
    """How many replies were compared, and how many differ: it ends there."""
    sequence = Sequence(args.seed, number, args.only)
    if sequence.theme in Sequence.ALONE:
        count = min(count, SEQUENCE // 4)
    run = Run(ports, sequence.protocol, sequence.theme == "hll")
    said = []
    try:
        run.say(flatten(sequence, count), said)
    except Difference as difference:
        print_difference(ports, args.seed, number, sequence, said, difference)
        return run.compared, 1
    except EOFError as problem:
        print("--seed %s --sequence %d: %s; the last: %r" % (args.seed, number, problem, said[-CHUNK // 10:]))
        raise
    finally:
        run.close()
    return run.compared, 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--commands", type=int, default=100000)
    parser.add_argument("--for", type=int, dest="seconds", help="so long, instead of so many")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--sequence", type=int, help="only this one")
    parser.add_argument("--only", action="append", help=", ".join(Sequence.THEMES))
    parser.add_argument("--different", type=int, default=5, help="after so many that differ it ends")
    parser.add_argument("redis_port", type=int)
    parser.add_argument("our_port", type=int)
    args = parser.parse_args()
    ports = (args.redis_port, args.our_port)
    began, compared, different = time.time(), 0, 0
    number = args.sequence or 0
    while different < args.different:
        done, more = one_sequence(args, ports, number, SEQUENCE)
        compared += done
        different += more
        number += 1
        if args.sequence is not None or (time.time() - began > args.seconds if args.seconds else compared >= args.commands):
            break
    for reason, count in HITS.most_common():
        print("%d known: %s" % (count, reason))
    print("seed %s: %d commands in %d sequences, %d of them different, %d s" %
          (args.seed, compared, number, different, time.time() - began))
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
