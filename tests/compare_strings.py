#!/usr/bin/env python3
"""Says random commands on bits of strings, and on strings with each other, to a redis-server and to
a redis-raft node, in RESP2 and RESP3, and compares what they answer and what the keys hold.

    compare_strings.py [--rounds N] [--seed S] [--only GROUP] REDIS_PORT OUR_PORT

Both databases are emptied.  Exit status 1 if anything differs.  Made for redis-server 7.0; what 7.2
changed is in compare_known.py.
"""
import argparse
import random
import sys

from compare_known import known
from compare_redis import Connection

KEYS = ["a", "b", "c", "d", "{e}"]
NUMBERS = ["0", "1", "-1", "2", "7", "-8", "100", "-100", "x", "", "9223372036854775807",
           "-9223372036854775808", "99999999999999999999", " 1", "01"]


class Strings:
    """Random commands.  Values are short mostly, with runs of equal bytes, so that ends matter."""

    def __init__(self, rng):
        self.rng = rng

    def key(self):
        return self.rng.choice(KEYS)

    def value(self):
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0:
            return bytes(rng.randrange(256) for _ in range(rng.randrange(20)))
        if kind == 1:
            return rng.choice([b"\xff", b"\0", b"\x55"]) * rng.randrange(70)
        if kind == 2:
            return b"\0" * rng.randrange(40) + b"\xff" * rng.randrange(40)
        if kind == 3:
            return b"\xff" * rng.randrange(300) + bytes([rng.randrange(256)]) + b"\xff" * rng.randrange(3)
        if kind == 4:
            return str(rng.randrange(-99, 10**rng.randrange(1, 19))).encode()
        return bytes(rng.choice(b"abc") for _ in range(rng.randrange(60)))

    def number(self):
        if self.rng.randrange(12) == 0:
            return self.rng.choice(NUMBERS)
        return str(self.rng.randrange(-80, 80))

    def offset(self):
        kind = self.rng.randrange(20)
        if kind == 0:
            return self.rng.choice(NUMBERS + ["4294967296", "4294967295000", "-5", "34359738368"])
        if kind == 1:
            return str(self.rng.randrange(20000))
        return str(self.rng.randrange(300))

    def unit(self):
        return self.rng.choice(["BIT", "bit", "BYTE", "Byte"] * 5 + ["x", ""])

    def setup(self):
        kind = self.rng.randrange(12)
        if kind == 0:
            return ["DEL", self.key()]
        if kind == 1:
            return ["RPUSH", self.key(), "x"]
        if kind == 2:
            return ["EXPIRE", self.key(), "1000"]
        if kind == 3:
            return ["SETRANGE", self.key(), str(self.rng.randrange(200)), self.value()]
        return ["SET", self.key(), self.value()]

    def bits(self):
        rng, key = self.rng, self.key()
        kind = rng.randrange(10)
        if kind == 0:
            return self.setup()
        if kind < 3:
            return ["SETBIT", key, self.offset(), rng.choice(["0", "1"] * 9 + ["2", "-1", "x"])]
        if kind == 3:
            return ["GETBIT", key, self.offset()]
        if kind < 6:
            words = ["BITCOUNT", key]
            words += rng.choice([[], [self.number()], [self.number(), self.number()],
                                 [self.number(), self.number(), self.unit()],
                                 [self.number(), self.number(), self.unit()]])
            return words + rng.choice([[]] * 20 + [["x"]])
        if kind < 8:
            words = ["BITPOS", key, rng.choice(["0", "1"] * 8 + ["2", "x"])]
            words += rng.choice([[], [self.number()], [self.number(), self.number()],
                                 [self.number(), self.number(), self.unit()]])
            return words + rng.choice([[]] * 20 + [["x"]])
        words = ["BITOP", rng.choice(["AND", "or", "XOR", "NOT"] * 6 + ["x"]), key]
        return words + [self.key() for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 5]))]

    def field_type(self):
        rng = self.rng
        if rng.randrange(15) == 0:
            return rng.choice(["u64", "i65", "u0", "i0", "x8", "", "u", "i-1", "u 8", "i08", "U8"])
        return rng.choice("ui") + str(rng.choice([rng.randrange(1, 65), 8, 16, 32, 63, 1]))

    def field_number(self):
        rng = self.rng
        kind = rng.randrange(4)
        if kind == 0:
            return rng.choice(NUMBERS)
        if kind == 1:
            return str(rng.randrange(-300, 300))
        sign = rng.choice([1, -1])
        return str(max(-2**63, min(2**63 - 1, sign * (2**rng.randrange(64) + rng.randrange(-2, 3)))))

    def field_offset(self):
        # (A large one behind "#" overflows there when it is multiplied, and may be taken.)
        if self.rng.randrange(3) == 0:
            return "#" + self.rng.choice([str(self.rng.randrange(300)), "-1", "x", "", "8589934592"])
        return self.offset()

    def bitfield(self):
        rng = self.rng
        if rng.randrange(10) == 0:
            return self.setup()
        words = ["BITFIELD" if rng.randrange(5) else "BITFIELD_RO", self.key()]
        for _ in range(rng.choice([0, 1, 1, 2, 3, 6])):
            kind = rng.randrange(10) if words[0] == "BITFIELD" else rng.choice([0, 0, 0, 0, 0, 0, 1, 9])
            if kind < 3:
                words += ["GET", self.field_type(), self.field_offset()]
            elif kind < 6:
                words += ["set", self.field_type(), self.field_offset(), self.field_number()]
            elif kind < 8:
                words += ["INCRBY", self.field_type(), self.field_offset(), self.field_number()]
            else:
                words += ["OVERFLOW", rng.choice(["WRAP", "sat", "FAIL"] * 6 + ["x"])]
        return words if rng.randrange(20) else words[:-1]

    def lcs(self):
        rng = self.rng
        if rng.randrange(3) == 0:
            return self.setup() if rng.randrange(2) else ["SET", self.key(), bytes(rng.choice(b"ab") for _ in range(rng.randrange(120)))]
        words = ["LCS", self.key(), self.key()]
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            words += rng.choice([["LEN"], ["idx"], ["IDX"], ["IDX"], ["WITHMATCHLEN"], ["MINMATCHLEN", self.number()],
                                 ["MINMATCHLEN", "2"], ["x"] if rng.randrange(4) == 0 else ["IDX"], ["IDX", "WITHMATCHLEN"]])
        return words

    def element(self):
        rng = self.rng
        kind = rng.randrange(8)
        if kind == 0:
            return bytes(rng.randrange(256) for _ in range(rng.randrange(40)))
        return str(rng.randrange(10 ** rng.randrange(1, 7)))

    def damaged(self):
        """A value that begins as a HyperLogLog and goes on as it likes, or nearly as it should."""
        rng = self.rng
        head = b"HYLL" + bytes([rng.choice([0, 1, 1, 1, 2])]) + bytes(3) + bytes(rng.randrange(256) for _ in range(7))
        head += bytes([rng.choice([0, 0x80, 0x80])])
        kind = rng.randrange(4)
        if kind == 0:
            return head + bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
        if kind == 1:
            return b"HYLL\0" + head[5:] + bytes(rng.randrange(256) for _ in range(12288))
        if kind == 2:
            return head[:rng.randrange(17)]
        runs, left = b"", 16384
        while left > 0 and len(runs) < 3000:
            run = rng.choice([1, 2, 4, 64, 100, 1000, 5000, left])
            run = min(run, left) if rng.randrange(60) else run
            left -= run
            if run <= 4:
                runs += bytes([0x80 | rng.randrange(32) << 2 | run - 1])
            elif run <= 64:
                runs += bytes([run - 1])
            else:
                runs += bytes([0x40 | (run - 1) >> 8, (run - 1) & 255])
        return b"HYLL\1" + head[5:15] + b"\x80" + runs

    def hll(self):
        rng, key = self.rng, self.key()
        kind = rng.randrange(20)
        if kind == 0:
            return rng.choice([["RPUSH", key, "x"], ["SET", key, self.value()]])
        if kind == 1:
            return ["SET", key, self.damaged()]
        if kind < 4:
            return ["DEL", key] if rng.randrange(2) else ["EXPIRE", key, "1000"]
        if kind < 12:
            return ["PFADD", key] + [self.element() for _ in range(rng.choice([0, 1, 1, 2, 5, 20, 300]))]
        if kind < 17:
            return ["PFCOUNT"] + [self.key() for _ in range(rng.choice([1, 1, 2, 3, 5]))]
        return ["PFMERGE", key] + [self.key() for _ in range(rng.choice([0, 1, 1, 2, 4]))]

    def pages(self):
        """Strings about and above 64 KB, which are in pages here once they are changed in place."""
        rng, key = self.rng, self.key()
        at = str(rng.choice([rng.randrange(400000), 65536, 65535, 4096 * rng.randrange(90), 4095]))
        part = rng.choice([b"x", b"\0", b"\xff", b"abc"]) * rng.choice([1, 1, 7, 4096, rng.randrange(9000), 70000])
        kind = rng.randrange(24)
        if kind < 2:
            return ["SET", key, bytes([rng.randrange(256)]) * rng.choice([10, 65536, 65537, 100000, 300000])]
        if kind < 6:
            return ["SETRANGE", key, at, part]
        if kind < 8:
            return ["APPEND", key, part]
        if kind < 10:
            return ["SETBIT", key, str(8 * int(at) + rng.randrange(8)), str(rng.randrange(2))]
        if kind == 10:
            return ["BITFIELD", key, "SET", "i64", str(8 * int(at) - rng.randrange(-9, 60) & 0xffffff), str(rng.getrandbits(62)),
                    "GET", "u33", at]
        if kind == 11:
            return ["BITOP", rng.choice(["AND", "OR", "XOR"]), key, self.key(), self.key(), self.key()]
        if kind == 12:
            return ["BITOP", "NOT", key, self.key()]
        if kind == 13:
            return rng.choice([["COPY", key, self.key(), "REPLACE"], ["RENAME", key, self.key()], ["DEL", key],
                               ["LPUSH", key, "x"], ["GETDEL", key], ["SET", key, "v", "GET"]])
        if kind == 14:
            return rng.choice([["EXPIRE", key, "1000"], ["PERSIST", key], ["GETEX", key, "EX", "1000"],
                               ["SET", key, part, "KEEPTTL"], ["GETEX", key, "PERSIST"]])
        if kind == 15:
            return rng.choice([["STRLEN", key], ["TYPE", key], ["INCR", key], ["MGET", key, self.key()],
                               ["OBJECT", "ENCODING", key], ["GETSET", key, part]])
        if kind < 19:
            return ["GETRANGE", key, at, str(int(at) + rng.randrange(20000))]
        if kind == 19:
            return ["GETBIT", key, str(8 * int(at))]
        if kind == 20:
            return ["BITCOUNT", key, at, "-1"] if rng.randrange(2) else ["BITCOUNT", key]
        if kind == 21:
            return ["BITPOS", key, rng.choice("01"), at]
        return ["GET", key]

    def next(self):
        return getattr(self, self.rng.choice(self.groups))()


class Comparison:
    def __init__(self):
        self.compared = self.different = 0

    def note(self, about, words, theirs, ours):
        self.compared += 1
        if theirs != ours and not known(words, theirs, ours):
            self.different += 1
            if self.different <= 20:
                print(f"{about}\n  redis: {theirs[:600]!r}\n  ours:  {ours[:600]!r}")


def run(comparison, ports, protocol, strings, rounds):
    redis, ours = (Connection(port) for port in ports)
    for connection in (redis, ours):
        connection.command(["HELLO", protocol])
        assert connection.command(["FLUSHALL"]) == b"+OK\r\n"
    for i in range(rounds):
        words = strings.next()
        about = f"RESP{protocol} #{i} {[w[:80] for w in words[:24]]}"
        theirs, mine = redis.command(words), ours.command(words)
        comparison.note(about, words, theirs, mine)
        if mine.startswith(b"-INVALIDOBJ") and words[0] != "PFCOUNT":
            # There what came before the damage stays done, here nothing does.
            for connection in (redis, ours):
                connection.command(["DEL", words[1]])
        if i % 20 == 19:
            for key in KEYS:
                for words in (["GET", key], ["TTL", key]):
                    comparison.note(f"{about}: then {words}", words, redis.command(words), ours.command(words))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="bits, bitfield, lcs, hll, pages")
    parser.add_argument("redis_port", type=int)
    parser.add_argument("our_port", type=int)
    args = parser.parse_args()
    comparison = Comparison()
    strings = Strings(random.Random(args.seed))
    groups = args.only or ["bits", "bitfield", "lcs", "hll", "pages"]
    for protocol in (2, 3):
        for group in groups:  # apart: LCS of strings of others' size takes a redis-server seconds
            strings.groups = [group]
            run(comparison, (args.redis_port, args.our_port), protocol, strings, args.rounds // len(groups))
    print(f"{comparison.compared} replies compared, {comparison.different} different")
    sys.exit(comparison.different > 0)


if __name__ == "__main__":
    main()
