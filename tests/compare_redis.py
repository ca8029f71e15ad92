#!/usr/bin/env python3
"""Says the same to a redis-server and to a redis-raft node and compares the replies byte by byte.

    compare_redis.py [--rounds N] [--seed S] REDIS_PORT OUR_PORT

Both databases are emptied.  A fixed list of commands and broken protocol comes first, in RESP2 and
RESP3, then N rounds of random commands from a small pool of keys and values (a seed prints the same
ones again).  Exit status 1 if anything differs.

COMMAND INFO is compared of every command that both have.  Made for redis-server 7.0 or 7.2: what
differs between those two is not asked (SINCE_7_2), nor what differs on purpose.
"""
import argparse
import random
import re
import socket
import sys

TIMEOUT_S = 10


class Connection:
    """Sends raw bytes, cuts replies out of what comes back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.buffer = b""

    def fill(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self.buffer += data

    def line(self, at):
        while True:
            end = self.buffer.find(b"\r\n", at)
            if end >= 0:
                return self.buffer[at:end], end + 2
            self.fill()

    def skip(self, at):
        """The end of the reply that begins at `at`."""
        head, at = self.line(at)
        mark, rest = head[:1], head[1:]
        if mark in b"$=!" and int(rest) >= 0:
            while len(self.buffer) < at + int(rest) + 2:
                self.fill()
            return at + int(rest) + 2
        if mark in b"*~>%" and int(rest) >= 0:
            for _ in range(int(rest) * (2 if mark == b"%" else 1)):
                at = self.skip(at)
        return at

    def reply(self):
        try:
            end = self.skip(0)
        except EOFError:
            return self.buffer + b"<closed>"
        reply, self.buffer = self.buffer[:end], self.buffer[end:]
        return reply

    def command(self, words):
        self.socket.sendall(encode(words))
        return self.reply()

    def until_closed(self, data):
        """Everything that comes back, to the end or to silence."""
        self.socket.sendall(data)
        self.socket.settimeout(0.3)
        try:
            while True:
                self.fill()
        except EOFError:
            return self.buffer + b"<closed>"
        except ConnectionResetError:
            return self.buffer + b"<closed>"
        except socket.timeout:
            return self.buffer


def encode(words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


# ---- what is said -----------------------------------------------------------------------------

# Of these 7.2 says something else: the arity of ZRANK, what WAIT is, tips for proxies.
SINCE_7_2 = {
    "zrank", "zrevrank", "wait", "scan", "randomkey", "msetnx", "command|getkeys", "command|getkeysandflags",
    "config|resetstat", "config|rewrite", "client|setname", "client|unblock", "client|pause", "client|unpause"}

COMMANDS = """
PING|PING hello|PING a b|ECHO hi|ECHO|SELECT 0|SELECT 1000|SELECT a|SELECT 99999999999|SELECT -1
NOSUCH|NOSUCH a b c|nosuch %s|NOSUCH '' ''|get|GET a b|SET a|mset a|MSET a 1 b|MSETNX a 1 b
CLIENT|CLIENT NOSUCH|CLIENT SETNAME|CLIENT SETNAME 'a b'|CLIENT SETNAME ab|CLIENT GETNAME
CLIENT SETNAME ''|CLIENT GETNAME|CLIENT ID x|CLIENT REPLY maybe|CLIENT NO-EVICT on|CLIENT NO-EVICT x
CLIENT KILL|CLIENT KILL ID|CLIENT KILL ID 0|CLIENT KILL ID x|CLIENT KILL TYPE x|CLIENT KILL 1.2.3.4:5
CLIENT KILL ID 1 ADDR|CLIENT KILL SKIPME maybe|CLIENT KILL USER nobody|CLIENT KILL FOO bar
CLIENT LIST TYPE x|CLIENT LIST ID x|CLIENT LIST ID|CLIENT LIST foo|CLIENT LIST TYPE pubsub
CLIENT LIST ID 99999|CLIENT KILL ADDR 1.2.3.4:5|CLIENT KILL LADDR 1.2.3.4:5 TYPE normal
CONFIG|CONFIG NOSUCH|CONFIG GET|CONFIG SET a|CONFIG GET nosuch|CONFIG SET nosuch 1
CONFIG SET timeout 0 timeout 0|CONFIG SET timeout|CONFIG GET maxmemory-polic[y]|CONFIG GET cluster-enable[d] MAXMEMORY-POLICY|CONFIG SET timeout abc
CONFIG SET maxmemory 100mb|CONFIG GET maxmemory|CONFIG SET maxmemory 0|CONFIG SET maxmemory x
CONFIG SET maxmemory-policy allkeys-lru|CONFIG SET maxmemory-policy x|CONFIG SET maxmemory-policy noeviction
CONFIG SET save ''|CONFIG SET save 900|CONFIG SET save '900 1'|CONFIG GET save|CONFIG SET save ''
CONFIG SET notify-keyspace-events KEA|CONFIG GET notify-keyspace-events|CONFIG SET notify-keyspace-events q
CONFIG SET notify-keyspace-events ''|CONFIG SET slowlog-log-slower-than -1|CONFIG SET slowlog-log-slower-than -2
CONFIG GET slowlog-log-slower-than|CONFIG SET slowlog-log-slower-than 10000|CONFIG SET lua-time-limit 5000
CONFIG GET lua-time-limit BUSY-reply-threshold|CONFIG SET hash-max-ziplist-entries 512|CONFIG SET list-max-listpack-size -2
CONFIG SET list-max-listpack-size 99999999999|CONFIG SET hash-max-listpack-value -5|CONFIG SET hz 10
CONFIG SET maxmemory-clients 5%|CONFIG GET maxmemory-clients|CONFIG SET maxmemory-clients 101%|CONFIG SET maxmemory-clients 0
CONFIG SET client-output-buffer-limit 'pubsub 1mb 0 0'|CONFIG GET client-output-buffer-limit
CONFIG SET client-output-buffer-limit 'normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60'
CONFIG SET client-output-buffer-limit 'master 0 0 0'|CONFIG SET client-output-buffer-limit normal|CONFIG SET client-output-buffer-limit ''
CONFIG SET client-output-buffer-limit 'normal 1x 0 0'|CONFIG SET oom-score-adj-values 1|CONFIG SET oom-score-adj-values '1 2 3000'
CONFIG SET latency-tracking-info-percentiles '50 99.5 100'|CONFIG GET latency-tracking-info-percentiles
CONFIG SET latency-tracking-info-percentiles 101|CONFIG SET latency-tracking-info-percentiles x
CONFIG SET latency-tracking-info-percentiles '50 99 99.9'|CONFIG SET latency-tracking maybe
CONFIG SET daemonize no|CONFIG SET databases 16|CONFIG SET dir /tmp|CONFIG SET dbfilename x|CONFIG SET logfile x
CONFIG SET timeout abc nosuch 1|CONFIG SET timeout 7 daemonize no|CONFIG GET timeout|CONFIG SET timeout 7 maxmemory x
CONFIG GET timeout|CONFIG SET maxclients 0|CONFIG SET timeout 0 TIMEOUT 0|CONFIG SET slaveof x
CONFIG SET requirepass ''|CONFIG REWRITE|CONFIG GET databases|CONFIG GET tls-port aclfile hll-sparse-max-bytes
COMMAND NOSUCH|COMMAND COUNT x|COMMAND GETKEYS|COMMAND GETKEYS nosuch a|COMMAND GETKEYS get a
COMMAND GETKEYS mset a 1 b 2|COMMAND GETKEYS ping a|COMMAND GETKEYS get a b|COMMAND GETKEYS rename a b
COMMAND GETKEYS del a b c|COMMAND INFO nosuch|COMMAND GETKEYS unlink a
COMMAND GETKEYS sort a by store limit 1 2 store b get c|COMMAND GETKEYS sort a|COMMAND GETKEYS sort_ro a by b
COMMAND GETKEYSANDFLAGS sort a store b|COMMAND GETKEYS eval x 0|COMMAND GETKEYS eval x 2 a|COMMAND GETKEYS evalsha_ro x 1 a
COMMAND GETKEYSANDFLAGS set a b|COMMAND GETKEYSANDFLAGS set a b xx get|COMMAND GETKEYSANDFLAGS mset a 1 b 2
COMMAND GETKEYSANDFLAGS rename a b|COMMAND GETKEYSANDFLAGS ping a b|COMMAND GETKEYSANDFLAGS nosuch a b
COMMAND GETKEYSANDFLAGS get a b|COMMAND GETKEYSANDFLAGS del a b|SCAN -1|SCAN -|SCAN -99999999999999999999
COMMAND INFO get set incr del mget client|id
COMMAND INFO getdel append strlen getrange setrange incrby decr decrby setnx getset
COMMAND INFO exists touch unlink type rename renamenx mset keys
COMMAND INFO dbsize flushall flushdb ping echo select auth hello reset quit time role
COMMAND INFO config|get config|set config|help client|getname
COMMAND INFO client|kill client|list client|info client|reply client|no-evict client|help
COMMAND INFO command|count command|docs command|info command|list command|help
COMMAND INFO slowlog|get slowlog|len slowlog|reset slowlog|help latency|latest latency|help
COMMAND INFO watch monitor multi exec|COMMAND INFO latency|doctor latency|graph latency|histogram latency|history latency|reset
SLOWLOG|SLOWLOG NOSUCH|SLOWLOG HELP|SLOWLOG RESET|SLOWLOG GET x|SLOWLOG GET -2|SLOWLOG GET 1 2|SLOWLOG LEN x
SLOWLOG GET 0|CONFIG SET slowlog-log-slower-than -1|SLOWLOG RESET|SLOWLOG GET|SLOWLOG LEN|CONFIG SET slowlog-log-slower-than 10000
CONFIG SET slowlog-max-len -1|CONFIG SET slowlog-max-len 0|CONFIG SET slowlog-log-slower-than 0|SLOWLOG LEN|SLOWLOG GET
CONFIG SET slowlog-log-slower-than 10000|CONFIG SET slowlog-max-len 128|CONFIG GET slowlog*
CONFIG SET latency-monitor-threshold x|CONFIG SET latency-monitor-threshold 0|LATENCY|LATENCY NOSUCH|LATENCY HELP
LATENCY RESET|LATENCY LATEST|LATENCY LATEST x|LATENCY HISTORY|LATENCY HISTORY nosuch|LATENCY GRAPH|LATENCY GRAPH nosuch
LATENCY RESET a b|LATENCY DOCTOR x|LATENCY HISTOGRAM nosuch nosuch2
COMMAND DOCS nosuch|COMMAND LIST FILTERBY|COMMAND LIST FILTERBY FOO bar|COMMAND LIST foo
COMMAND LIST FILTERBY PATTERN getd*|COMMAND LIST FILTERBY MODULE x|COMMAND LIST FILTERBY ACLCAT nosuch
AUTH x|AUTH a b c|AUTH default x|AUTH nobody x|HELLO 4|HELLO x|HELLO 3 FOO|HELLO 3 AUTH x
HELLO 3 SETNAME|HELLO 2 SETNAME 'a b'|HELLO 3 AUTH nobody x|HELLO 1|HELLO 99999999999999999999
INFO nosuch|INFO nosuch nosuch|TIME x|ROLE x|RESET x|CLUSTER|CLUSTER INFO|SENTINEL MASTERS|DBSIZE x
GET k|SET k v|SET k v NX|SET k v XX GET|SET k w GET NX|SET k v NX XX|SET k v FOO|SET k v EX|GET k
SET k v KEEPTTL|SET k v EX 10 PX 10|SET k v EX 10 KEEPTTL|SET k v NX GET XX|SET k '' GET|STRLEN k
SETNX k v|SETNX l v|GETSET k v|GETSET m v|GETDEL m|GETDEL m|MGET k l m|EXISTS k k m|TOUCH k m
APPEND k abc|GETRANGE k 0 -1|GETRANGE k 1 1|GETRANGE k -2 -1|GETRANGE k -1 -2|GETRANGE k 5 1
GETRANGE k -100 2|GETRANGE k 0 100|GETRANGE k x 1|SUBSTR k 0 0|GETRANGE nokey 0 -1
SETRANGE k 2 XX|SETRANGE k -1 a|SETRANGE k x a|SETRANGE k 0 ''|SETRANGE nokey 0 ''|EXISTS nokey
SETRANGE k 536870911 ab|SETRANGE k 9223372036854775807 a|GET k|SETRANGE padded 5 x|GET padded
INCR n|INCRBY n 10|DECR n|DECRBY n 20|INCRBY n x|DECRBY n -9223372036854775808|INCR k
SET n 9223372036854775807|INCR n|SET n -9223372036854775808|DECR n|SET n ' 1'|INCR n|SET n 01|INCR n
INCRBYFLOAT f 1.5|INCRBYFLOAT f 0.1|INCRBYFLOAT f -5.0e3|INCRBYFLOAT f x|INCRBYFLOAT f inf
INCRBYFLOAT f nan|INCRBYFLOAT f 1e4000|INCRBYFLOAT k 1|INCRBYFLOAT f 0x10|INCRBYFLOAT f ' 1'|GET f
RENAME k k|RENAME nokey x|RENAME k kk|RENAMENX kk l|RENAMENX kk kkk|RENAMENX nokey x|TYPE kkk|TYPE no
DEL kkk kkk nokey|UNLINK l n|DBSIZE|KEYS *|KEYS|SCAN|SCAN x|SCAN ''|SCAN +0|SCAN 0 COUNT 0
SCAN 0 COUNT x|SCAN 0 COUNT|SCAN 0 MATCH|SCAN 0 FOO bar|SCAN 0 TYPE|SCAN 18446744073709551616
SCAN 0 COUNT 1000|SCAN 0 COUNT 1000 MATCH f*|SCAN 0 TYPE string COUNT 1000|SCAN 0 TYPE hash COUNT 99
FLUSHDB x|FLUSHDB SYNC ASYNC|FLUSHDB SYNC|RANDOMKEY|FLUSHALL ASYNC|DBSIZE
"""

# Raw bytes, each on a connection of its own.
STREAMS = [
    b"PING\r\n", b"PING\nPING\n", b"\r\n\r\nPING\r\n", b"*0\r\nPING\r\n", b"*-5\r\nPING\r\n",
    b"SET k 'a b\\'c\\n' GET\r\nGET k\r\n", b'SET k "a\\x41\\n\\r\\t\\a\\b\\q\\"" GET\r\nGET k\r\n',
    b'ECHO "a"b\r\n', b'ECHO "a\r\n', b"ECHO 'a'b\r\n", b"ECHO 'a\r\n", b'ECHO ""\r\n',
    b'ECHO a"b c"\r\n', b"ECHO a'b c'\r\n", b'ECHO "\\xZZ\\x4"\r\n', b"ECHO\ta\r\n", b"ECHO \x0b\x0ca\r\n",
    b'echo "\\"\r\n', b'echo \'\\\'\r\n', b"echo '\\\\'\r\n",
    b"*x\r\n", b"*\r\n", b"*01\r\n", b"*1048577\r\n", b"*2147483647\r\n", b"*2147483648\r\n", b"*99999999999999999999\r\n",
    b"*1\r\nPING\r\n", b"*1\r\n:4\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$x\r\n", b"*1\r\n$\r\n",
    b"*1\r\n$536870913\r\n", b"*1\r\n$9999999999\r\n", b"*1\r\n$4\r\nPINGxx", b"*1\rx$4\rxPING\r\n",
    b"*1\r\n$4\r\nPING\r\n*1\r\n+4\r\n", b"*2\r\n$3\r\nGET\r\n$-3\r\n", b"PING\r\n*1\r\n!\r\nPING\r\n",
    b"*1" + b"0" * 70000, b"*1\r\n$" + b"1" * 70000, b"x" * 70000, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$" + b"9" * 30 + b"\r\n",
    b"CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", b"CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nECHO a\r\n",
    b"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nECHO a\r\nECHO b\r\n",
    b"CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nECHO a\r\nRESET\r\nECHO b\r\n",
    b"CLIENT REPLY SKIP\r\nNOSUCH\r\nECHO b\r\n", b"CLIENT REPLY SKIP\r\nGET k\r\nSET k v\r\nGET k\r\n",
    b"QUIT\r\nPING\r\n", b"quit now\r\n", b"HELLO 3\r\nGET nokey\r\nRESET\r\nGET nokey\r\n",
    b"NOSUCH " + b"a" * 200 + b"\r\n", b"N" * 200 + b" a\r\n", b"CLIENT " + b"b" * 200 + b"\r\n",
    b"NOSUCH \"a\\r\\nb\" \"c\\x00d\" e\r\n", b'"NO\\x00SUCH" x\r\n',
    b"NOSUCH " + b"a" * 60 + b" " + b"b" * 60 + b" " + b"c" * 60 + b" d\r\n",
]

WORDS = ["k", "l", "m", "n", "key:1", "key:2", "", "v", "w", "1", "-1", "10", "3.14", "0", "-0", "x",
         "9223372036854775807", "-9223372036854775808", "1e5", " ", "nx", "xx", "get", "keepttl",
         "*", "k*", "key:?", "[k-m]", "[^k]", "\\k", "count", "match", "type", "string", "sync",
         "a\r\nb", "a\0b", "k]", "[", "key:-", "\\\\", "a]b", "kk", "inf", "0x1p3", "100", "5"]

RANDOM_COMMANDS = {
    "get": 1, "set": 4, "setnx": 2, "getset": 2, "getdel": 1, "mget": 3, "mset": 4, "msetnx": 4,
    "append": 2, "strlen": 1, "getrange": 3, "substr": 3, "setrange": 3, "incr": 1, "incrby": 2,
    "decr": 1, "decrby": 2, "incrbyfloat": 2, "del": 2, "unlink": 2, "exists": 2, "touch": 2,
    "type": 1, "keys": 1, "rename": 2, "renamenx": 2, "dbsize": 0, "ping": 1, "echo": 1,
    "flushdb": 1, "nosuch": 2, "client": 2}


def random_command(rng):
    name, count = rng.choice(sorted(RANDOM_COMMANDS.items()))
    count += rng.choice([0, 0, 0, 0, 0, 1, -1])
    words = [rng.choice(WORDS[:6]) if i == 0 and rng.random() < 0.8 else rng.choice(WORDS)
             for i in range(max(count, 0))]
    # A SETRANGE far out costs both servers half a gigabyte for nothing.
    if name == "setrange" and len(words) > 1 and len(words[1]) > 4:
        words[1] = "7"
    if name == "keys" and words:
        words[0] = "".join(rng.choice("**??[]^-\\akey:1\xe9") for _ in range(rng.randint(0, 7)))
    return [name] + words


# ---- comparing --------------------------------------------------------------------------------

def is_unordered(words):
    name = words[0].lower()
    return (name in ("keys", "scan") or words[:2] == ["CONFIG", "GET"] or
            (name == "command" and words[1:2] in (["LIST"], ["INFO"])))


def comparable(words, reply):
    """Without what is the server's own business: its version and ids, the order of sets."""
    reply = re.sub(rb"\$\d+\r\n\d+\.\d+\.\d+\r\n", b"VERSION", reply)
    reply = re.sub(rb"id\r\n:\d+\r\n", b"ID", reply)
    return sorted(reply.split(b"\r\n")) if is_unordered(words) else reply


def is_exempt(words, theirs):
    if " ".join(words).upper().startswith("COMMAND GETKEYS"):
        return b"wrong number" in theirs and len(words) == 3  # arity -4 in 7.0, -3 in 7.2
    return False


class Comparison:
    def __init__(self):
        self.compared = 0
        self.different = 0

    def note(self, what, words, theirs, ours):
        self.compared += 1
        if comparable(words, theirs) == comparable(words, ours) or is_exempt(words, theirs):
            return
        self.different += 1
        if self.different <= 40:
            print(f"{what}\n  redis: {theirs[:600]!r}\n  ours:  {ours[:600]!r}")


def parse_line(line):
    words, word, quote, started = [], "", None, False
    for c in line:
        if quote:
            if c == quote:
                quote = None
            else:
                word += c
        elif c == "'":
            quote, started = c, True
        elif c == " ":
            if word or started:
                words.append(word)
            word, started = "", False
        else:
            word += c
    if word or started:
        words.append(word)
    return words


def fixed_commands():
    # In "client|id" the bar belongs to the name.
    for row in COMMANDS.strip().split("\n"):
        if row.startswith("COMMAND INFO"):
            for line in row.split("|COMMAND"):
                yield parse_line(line if line.startswith("COMMAND") else "COMMAND" + line)
            continue
        for line in row.split("|"):
            yield parse_line(line)


def commands_of(port):
    reply = Connection(port).command(["COMMAND", "LIST"])
    return set(reply.decode().split("\r\n")[2::2])


def rows_of_commands(ports):
    """COMMAND INFO of all that both have, but for containers: their subcommands are asked themselves."""
    theirs, ours = (commands_of(port) for port in ports)
    containers = {name.split("|")[0] for name in theirs | ours if "|" in name}
    return [["COMMAND", "INFO", name] for name in sorted((theirs & ours) - containers - SINCE_7_2)]


def flush(redis, ours):
    for connection in (redis, ours):
        assert connection.command(["FLUSHALL"]) == b"+OK\r\n"


def run_commands(comparison, ports, protocol, commands):
    redis, ours = (Connection(port) for port in ports)
    for connection in (redis, ours):
        connection.command(["HELLO", protocol])
    flush(redis, ours)
    for words in commands:
        theirs, mine = redis.command(words), ours.command(words)
        comparison.note(f"RESP{protocol} {words}", words, theirs, mine)
        if words[0].upper() in ("HELLO", "RESET"):
            for connection in (redis, ours):
                connection.command(["HELLO", protocol])


# What depends on what was executed.
def is_of_sections(name):
    return not name.startswith((b"cmdstat_", b"errorstat_", b"latency_percentiles_", b"db"))


def fields_of_info(port):
    lines = Connection(port).command(["INFO", "everything"]).split(b"\r\n")
    return {line.split(b":")[0] for line in lines if b":" in line}


def compare_info(comparison, ports):
    """No field of Redis's is missing."""
    theirs, ours = (fields_of_info(port) for port in ports)
    for name in sorted(filter(is_of_sections, theirs)):
        comparison.note("INFO", ["INFO"], name, name if name in ours else b"missing")


def run_streams(comparison, ports):
    for stream in STREAMS:
        theirs, mine = (Connection(port).until_closed(stream) for port in ports)
        comparison.note(f"raw {stream[:80]!r}", ["raw"], theirs, mine)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("redis_port", type=int)
    parser.add_argument("our_port", type=int)
    args = parser.parse_args()
    ports = (args.redis_port, args.our_port)
    comparison = Comparison()
    for protocol in (2, 3):
        run_commands(comparison, ports, protocol, fixed_commands())
        run_commands(comparison, ports, protocol, rows_of_commands(ports))
    run_streams(comparison, ports)
    compare_info(comparison, ports)
    rng = random.Random(args.seed)
    for protocol in (2, 3):
        run_commands(comparison, ports, protocol,
                     (random_command(rng) for _ in range(args.rounds)))
    print(f"{comparison.compared} replies compared, {comparison.different} different")
    sys.exit(comparison.different > 0)


if __name__ == "__main__":
    main()
