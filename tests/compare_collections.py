#!/usr/bin/env python3
"""Says random commands on collections to a redis-server and to a redis-raft node, in RESP2 and
RESP3, and compares what they answer, and what the keys hold in the end.

    compare_collections.py [--rounds N] [--seed S] [--only GROUP] REDIS_PORT OUR_PORT

Both databases are emptied.  N commands a protocol; a seed says the same ones again.  Exit status 1 if
anything differs.  Replies in no order are compared as sets, those of random choice by what they
may be.  Made for redis-server 7.0: what 7.2 changed is in compare_known.py.
"""
import argparse
import random
import sys

from compare_known import known
from compare_redis import Connection

KEYS = ["a", "b", "c", "d", "e", "f", "{g}", ""]
SMALL = ["", "1", "2", "-5", "10", "007", "x", "y", "field", "3.5", "9223372036854775807",
         "-9223372036854775808", "a\r\nb", "\0"]
NUMBERS = ["1", "-1", "5", "100", "9223372036854775807", "-9223372036854775808", "0", "x", "", "1.5",
           "99999999999999999999", " 1", "01"]
FLOATS = ["1", "0.1", "-2.5", "1e3", "x", "", "inf", "-inf", "nan", "1e4932", "0x10", " 1", "3.0e-5"]
SCORES = ["inf", "-inf", "+inf", "-0", "0", "0x10", "nan", "x", "", "1e400", "1e15", "1e22", " 1", "1 "]
SAME = ["s1", "s2"]  # keys whose members all have the same score
COUNTS = ["0", "1", "2", "3", "10", "200", "-1", "-3", "-20", "x", "", "9223372036854775807",
          "-9223372036854775808", "99999999999999999999"]


# ---- reading replies ----------------------------------------------------------------------------

def parse(reply, at=0):
    """A reply as (mark, value), and where it ends; a set as a sorted list, a map by its pairs."""
    end = reply.index(b"\r\n", at)
    mark, rest, at = reply[at:at + 1], reply[at + 1:end], end + 2
    if mark in b"$=" and int(rest) >= 0:
        return (mark, reply[at:at + int(rest)]), at + int(rest) + 2
    if mark in b"*~%" and int(rest) >= 0:
        items = []
        for _ in range(int(rest) * (2 if mark == b"%" else 1)):
            item, at = parse(reply, at)
            items.append(item)
        return (mark, items), at
    return (mark, rest), at


def read(reply):
    parsed, end = parse(reply)
    assert end == len(reply), reply
    return parsed


def pairs(items):
    return list(zip(items[::2], items[1::2]))


# ---- what is said -------------------------------------------------------------------------------

class Commands:
    """Random commands; the pool of elements grows and shrinks, so that keys cross their bounds."""

    def __init__(self, rng):
        self.rng = rng
        self.wide = 10
        self.clock = 1  # of the streams' ids
        self.queued = []

    def key(self):
        return self.rng.choice(KEYS)

    def element(self):
        if self.rng.random() < 0.3:
            return self.rng.choice(SMALL)
        if self.rng.random() < 0.01:
            return "long" * self.rng.choice([15, 16, 17, 3000])
        form = "%d" if self.rng.random() < 0.5 else "e%d"
        return form % self.rng.randrange(self.wide)

    def some(self, what, most=5):
        if self.rng.random() < 0.05:
            most = 200
        return [what() for _ in range(self.rng.randrange(1, most + 1))]

    def values(self):
        return [w for e in self.some(self.element) for w in (e, self.element())]

    def number(self):
        return self.rng.choice(NUMBERS)

    def scan_words(self):
        return self.rng.choice([[], [], ["COUNT", "10000"], ["MATCH", "*1*"], ["MATCH", "*"], ["COUNT", "0"],
                                ["COUNT", "x"], ["FOO", "1"], ["COUNT"], ["TYPE", "hash"],
                                ["MATCH", "[", "COUNT", "5000"]])

    def scan(self, name):
        words = self.scan_words()
        if "COUNT" not in words:
            words = words + ["COUNT", "100000"]  # all at once: cursors are each server's own
        return [name, self.key(), self.rng.choice(["0"] * 20 + ["x", "-", ""])] + words

    def hash(self):
        rng = self.rng
        return rng.choice([
            lambda: ["HSET", self.key()] + self.values(),
            lambda: ["HSET", self.key()] + self.values(),
            lambda: ["HSET", self.key()] + self.values(),
            lambda: ["HSET", self.key()] + self.values()[:-1],
            lambda: ["HMSET", self.key()] + self.values(),
            lambda: ["HSETNX", self.key(), self.element(), self.element()],
            lambda: ["HGET", self.key(), self.element()],
            lambda: ["HMGET", self.key()] + self.some(self.element),
            lambda: ["HDEL", self.key()] + self.some(self.element),
            lambda: ["HDEL", self.key()] + self.some(self.element, 30),
            lambda: ["HLEN", self.key()],
            lambda: ["HEXISTS", self.key(), self.element()],
            lambda: ["HSTRLEN", self.key(), self.element()],
            lambda: ["HKEYS", self.key()],
            lambda: ["HVALS", self.key()],
            lambda: ["HGETALL", self.key()],
            lambda: ["HINCRBY", self.key(), self.element(), self.number()],
            lambda: ["HINCRBYFLOAT", self.key(), self.element(), rng.choice(FLOATS)],
            lambda: self.scan("HSCAN"),
            lambda: ["HRANDFIELD", self.key()],
            lambda: ["HRANDFIELD", self.key(), rng.choice(COUNTS)],
            lambda: ["HRANDFIELD", self.key(), rng.choice(COUNTS), rng.choice(["WITHVALUES", "WITHVALUES", "x"])],
            lambda: [rng.choice(["HGETALL", "HLEN", "HGET", "HSET", "HDEL", "HSCAN", "HRANDFIELD"])] +
            self.some(self.element)[:4],
        ])()

    def set(self):
        rng = self.rng
        return rng.choice([
            lambda: ["SADD", self.key()] + self.some(self.element),
            lambda: ["SADD", self.key()] + self.some(self.element, 30),
            lambda: ["SADD", self.key()] + [str(rng.randrange(-3 * self.wide, 3 * self.wide))
                                            for _ in range(rng.randrange(1, 60))],
            lambda: ["SREM", self.key()] + self.some(self.element, 20),
            lambda: ["SISMEMBER", self.key(), self.element()],
            lambda: ["SMISMEMBER", self.key()] + self.some(self.element),
            lambda: ["SCARD", self.key()],
            lambda: ["SMEMBERS", self.key()],
            lambda: ["SMOVE", self.key(), self.key(), self.element()],
            lambda: [rng.choice(["SINTER", "SUNION", "SDIFF"])] + self.some(self.key),
            lambda: [rng.choice(["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]), self.key()] + self.some(self.key, 4),
            lambda: ["SINTERCARD", rng.choice(["1", "2", "3", "0", "x", "-1"])] + self.some(self.key, 3) +
            rng.choice([[], [], ["LIMIT", rng.choice(["0", "1", "5", "-1", "x"])], ["LIMIT"], ["FOO", "1"]]),
            lambda: self.scan("SSCAN"),
            lambda: ["SRANDMEMBER", self.key()],
            lambda: ["SRANDMEMBER", self.key(), rng.choice(COUNTS)],
            lambda: ["SPOP", self.key(), rng.choice(["0", "-1", "x", "100000", "9223372036854775807"])],
            lambda: [rng.choice(["SADD", "SREM", "SPOP", "SRANDMEMBER", "SINTERCARD", "SMOVE", "SSCAN", "SUNION"])] +
            self.some(self.element)[:3],
        ])()

    def score(self):
        rng = self.rng
        if rng.random() < 0.1:
            return rng.choice(SCORES)
        return rng.choice(["%d", "%d", "%d.5", "-%d", "%d.25", "%de3"]) % rng.randrange(self.wide)

    def scores(self, most=5):
        return [w for e in self.some(self.element, most) for w in (self.score(), e)]

    def score_end(self):
        return self.rng.choice(["", "", "", "("]) + self.rng.choice([self.score(), self.score(), "-inf", "+inf"])

    def name_end(self):
        rng = self.rng
        return rng.choice(["-", "+", rng.choice("[(") + self.element(), rng.choice("[([") + self.element(),
                           self.element() if rng.random() < 0.1 else "[" + self.element()])

    def rank(self):
        rng = self.rng
        return rng.choice([str(rng.randrange(-self.wide, self.wide)), "0", "-1", rng.choice(COUNTS)])

    def limit(self):
        rng = self.rng
        return rng.choice([[], [], ["LIMIT", rng.choice(["0", "1", "5", "-1"]), rng.choice(["1", "0", "5", "-1", "100"])],
                           ["LIMIT", "0"], ["LIMIT", "x", "1"]])

    def with_scores(self):
        return self.rng.choice([[], [], ["WITHSCORES"], ["WITHSCORES"], ["withscore"]])

    def range_words(self, key):
        rng = self.rng
        words = rng.choice([
            lambda: [key, self.rank(), self.rank()],
            lambda: [key, self.score_end(), self.score_end(), "BYSCORE"],
            lambda: [rng.choice(SAME), self.name_end(), self.name_end(), "BYLEX"],
        ])()
        return words + rng.choice([[], ["REV"]]) + self.limit()

    def many(self, name, to=()):
        rng = self.rng
        keys = self.some(self.key, 4)
        number = str(len(keys)) if rng.random() < 0.9 else rng.choice(["0", "x", "-1", "9", "99999999999"])
        words = [name, *to, number] + keys
        if "DIFF" not in name:
            weights = [rng.choice(["1", "2", "-1", "0.5", "0", "inf", "-inf", "x"][: 7 + (rng.random() < 0.1)]) for _ in keys]
            words += rng.choice([[], [], ["WEIGHTS"] + weights, ["WEIGHTS", "1"]])
            words += rng.choice([[], [], ["AGGREGATE", rng.choice(["SUM", "MIN", "MAX", "x"])]])
        if not to:
            words += self.with_scores()
        return words

    def zset(self):
        rng = self.rng
        options = [w for w in ("NX", "XX", "GT", "LT", "CH") if rng.random() < 0.15]
        return rng.choice([
            lambda: ["ZADD", self.key()] + options + self.scores(),
            lambda: ["ZADD", self.key()] + options + self.scores(30),
            lambda: ["ZADD", self.key()] + self.scores(30),
            lambda: ["ZADD", rng.choice(SAME)] + [w for e in self.some(self.element, 30) for w in ("0", e)],
            lambda: ["ZADD", self.key()] + options + ["INCR", self.score(), self.element()],
            lambda: ["ZADD", self.key()] + options + self.scores()[:-1],
            lambda: ["ZINCRBY", self.key(), self.score(), self.element()],
            lambda: ["ZCARD", self.key()],
            lambda: ["ZSCORE", self.key(), self.element()],
            lambda: ["ZMSCORE", self.key()] + self.some(self.element),
            lambda: ["ZCOUNT", self.key(), self.score_end(), self.score_end()],
            lambda: ["ZLEXCOUNT", rng.choice(SAME), self.name_end(), self.name_end()],
            lambda: [rng.choice(["ZRANK", "ZREVRANK"]), self.key(), self.element()],
            lambda: ["ZRANGE"] + self.range_words(self.key()) + self.with_scores(),
            lambda: ["ZRANGE"] + self.range_words(self.key()) + self.with_scores(),
            lambda: ["ZRANGESTORE", self.key()] + self.range_words(self.key()),
            lambda: ["ZREVRANGE", self.key(), self.rank(), self.rank()] + self.with_scores(),
            lambda: [rng.choice(["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"]), self.key(), self.score_end(),
                     self.score_end()] + self.with_scores() + self.limit(),
            lambda: [rng.choice(["ZRANGEBYLEX", "ZREVRANGEBYLEX"]), rng.choice(SAME), self.name_end(),
                     self.name_end()] + self.limit(),
            lambda: ["ZREM", self.key()] + self.some(self.element, 20),
            lambda: ["ZREMRANGEBYRANK", self.key(), self.rank(), self.rank()],
            lambda: ["ZREMRANGEBYSCORE", self.key(), self.score_end(), self.score_end()],
            lambda: ["ZREMRANGEBYLEX", rng.choice(SAME), self.name_end(), self.name_end()],
            lambda: [rng.choice(["ZPOPMIN", "ZPOPMAX"]), self.key()] + rng.choice([[], [rng.choice(COUNTS)], ["1", "2"]]),
            lambda: ["ZMPOP", rng.choice(["1", "2", "0", "x"]), self.key(), self.key(), rng.choice(["MIN", "MAX"])] +
            rng.choice([[], ["COUNT", rng.choice(COUNTS)], ["COUNT"]]),
            lambda: ["ZMPOP", "1", self.key(), rng.choice(["MIN", "MAX"])] +
            rng.choice([[], ["COUNT", rng.choice(COUNTS)], ["COUNT"]]),
            lambda: self.many(rng.choice(["ZUNION", "ZINTER", "ZDIFF"])),
            lambda: self.many(rng.choice(["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"]), [self.key()]),
            lambda: ["ZINTERCARD", rng.choice(["1", "2", "3", "0", "x"])] + self.some(self.key, 3) +
            rng.choice([[], [], ["LIMIT", rng.choice(["0", "1", "5", "-1", "x"])], ["LIMIT"]]),
            lambda: self.scan("ZSCAN"),
            lambda: ["ZRANDMEMBER", self.key()] + rng.choice([[], [rng.choice(COUNTS)], [rng.choice(COUNTS), "WITHSCORES"]]),
            lambda: [rng.choice(["ZADD", "ZREM", "ZPOPMIN", "ZRANGE", "ZUNION", "ZCOUNT", "ZSCAN"])] +
            self.some(self.element)[:4],
        ])()

    def push(self):
        return self.rng.choice(["LPUSH", "RPUSH"])

    def list(self):
        rng = self.rng
        return rng.choice([
            lambda: [self.push(), self.key()] + self.some(self.element),
            lambda: [self.push(), self.key()] + self.some(self.element, 60),
            lambda: [self.push(), self.key()] + self.some(self.element, 60),
            lambda: [self.push() + "X", self.key()] + self.some(self.element),
            lambda: [rng.choice(["LPOP", "RPOP"]), self.key()] + rng.choice([[], [], [rng.choice(COUNTS)], ["1", "2"]]),
            lambda: ["LMPOP", rng.choice(["1", "2", "0", "x"]), self.key(), self.key(), rng.choice(["LEFT", "RIGHT"])] +
            rng.choice([[], ["COUNT", rng.choice(COUNTS)], ["COUNT"]]),
            lambda: ["LMPOP", "1", self.key(), rng.choice(["LEFT", "RIGHT"])] +
            rng.choice([[], ["COUNT", rng.choice(COUNTS)], ["COUNT"]]),
            lambda: ["LLEN", self.key()],
            lambda: ["LINDEX", self.key(), self.rank()],
            lambda: ["LRANGE", self.key(), self.rank(), self.rank()],
            lambda: ["LSET", self.key(), self.rank(), self.element()],
            lambda: ["LINSERT", self.key(), rng.choice(["BEFORE", "AFTER", "x"][: 2 + (rng.random() < 0.1)]),
                     self.element(), self.element()],
            lambda: ["LREM", self.key(), rng.choice(COUNTS), self.element()],
            lambda: ["LTRIM", self.key(), self.rank(), self.rank()] if rng.random() < 0.5 else
            ["LTRIM", self.key(), rng.choice(["0", "1", "5"]), rng.choice(["-1", "-2", "500"])],
            lambda: ["LPOS", self.key(), self.element()] +
            rng.choice([[], [], ["RANK", rng.choice(["1", "2", "-1", "-2", "x"])], ["RANK"]]) +
            rng.choice([[], ["COUNT", rng.choice(COUNTS)]]) + rng.choice([[], ["MAXLEN", rng.choice(COUNTS)]]),
            lambda: ["LMOVE", self.key(), self.key(), rng.choice(["LEFT", "RIGHT"]), rng.choice(["LEFT", "RIGHT"])],
            lambda: ["RPOPLPUSH", self.key(), self.key()],
            lambda: [rng.choice(["LPUSH", "LPOP", "LRANGE", "LMOVE", "LPOS", "LSET", "LMPOP", "LINSERT"])] +
            self.some(self.element)[:4],
        ])()

    def place(self):
        """Some anywhere, some close to each other, some at the ends, some that are none."""
        rng = self.rng
        if rng.random() < 0.03:
            return [rng.choice(["181", "-180", "180", "0", "x", "nan", "inf"]),
                    rng.choice(["85.05112878", "-85.05112878", "85.06", "0", "-0", ""])]
        if rng.random() < 0.5:
            return ["%.9f" % rng.uniform(-180, 180), "%.9f" % rng.uniform(-85, 85)]
        return ["%.6f" % (13 + rng.gauss(0, 2)), "%.6f" % (38 + rng.gauss(0, 2))]

    def unit(self, may_be_wrong=True):
        return self.rng.choice(["m", "km", "KM", "ft", "mi", "km", "m", "x"][:7 + (may_be_wrong and self.rng.random() < 0.05)])

    def length(self, may_be_wrong=True):
        rng = self.rng
        if may_be_wrong and rng.random() < 0.05:
            return rng.choice(["0", "-1", "x", "1e300", "inf", "1e-300", "nan", ""])
        return "%g" % 10 ** rng.uniform(-1, 7)

    def geo_options(self, more=()):
        rng = self.rng
        options = [["ASC"], ["DESC"], ["WITHDIST"], ["WITHHASH"], ["WITHCOORD"],
                   ["COUNT", rng.choice(["1", "3", "50", "0", "x"])], ["COUNT", "5", "ANY"], ["ANY"]] + list(more)
        return sum(rng.sample(options, rng.choice([0, 0, 1, 2, 3])), [])

    def geo_shape(self):
        rng = self.rng
        if rng.random() < 0.5:
            return ["BYRADIUS", self.length(), self.unit()]
        return ["BYBOX", self.length(), self.length(), self.unit()]

    def geo_from(self):
        if self.rng.random() < 0.5:
            return ["FROMMEMBER", self.element()]
        return ["FROMLONLAT"] + self.place()

    def geo(self):
        rng = self.rng
        stores = [["STORE", self.key()], ["STOREDIST", self.key()]]
        return rng.choice([
            lambda: ["GEOADD", self.key()] + rng.choice([[], [], ["NX"], ["XX"], ["CH"], ["NX", "XX"]]) +
            sum([self.place() + [self.element()] for _ in range(rng.choice([1, 3, 40]))], []),
            lambda: ["GEOADD", self.key()] + sum([self.place() + [self.element()] for _ in range(30)], []),
            lambda: ["GEOPOS", self.key()] + self.some(self.element),
            lambda: ["GEOHASH", self.key()] + self.some(self.element),
            lambda: ["GEODIST", self.key(), self.element(), self.element()] + rng.choice([[], [self.unit()]]),
            lambda: ["GEOSEARCH", self.key()] + self.geo_from() + self.geo_shape() + self.geo_options(),
            lambda: ["GEOSEARCH", self.key()] + self.geo_shape() + self.geo_from() + self.geo_options(),
            lambda: ["GEOSEARCHSTORE", self.key(), self.key()] + self.geo_from() + self.geo_shape() +
            self.geo_options([["STOREDIST"]]),
            lambda: [rng.choice(["GEORADIUS", "GEORADIUS_RO"]), self.key()] + self.place() +
            [self.length(), self.unit()] + self.geo_options(stores),
            lambda: [rng.choice(["GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"]), self.key(), self.element(),
                     # which Redis does not look at if there is no key
                     self.length(False), self.unit(False)] + self.geo_options(stores),
            lambda: ["ZADD", self.key(), self.score(), self.element()] if rng.random() < 0.1 else
            ["ZRANGE", self.key(), "0", "-1", "WITHSCORES"],
        ])()

    def stream_id(self):
        rng = self.rng
        if rng.random() < 0.06:
            return rng.choice(["x", "", "-", "+", "$", ">", "1-", "-1", "(1-1", "007-1", " 5-1", "1--2", "0-0",
                               "18446744073709551615-18446744073709551615", "18446744073709551615",
                               "18446744073709551616", "1-18446744073709551615", "5-\0x", "1-*", "*1"])
        return rng.choice(["%d", "%d-%d", "%d-%d"]).replace("%d", str(rng.randrange(self.wide)), 1) \
            .replace("%d", str(rng.randrange(3)))

    def new_id(self):
        # Mostly above what is there.
        self.clock += self.rng.choice([0, 0, 0, 1, 1, self.wide])
        return self.rng.choice(["%d-*", "%d-*", "%d-1", "%d-2"]) % self.clock if self.rng.random() < 0.9 \
            else self.stream_id()

    def stream_end(self):
        return self.rng.choice(["", "", "("]) + self.rng.choice([self.stream_id(), self.stream_id(), "-", "+"])

    def group_name(self):
        return self.rng.choice(["g1", "g1", "g2", ""])

    def consumer(self):
        return self.rng.choice(["alice", "bob", "carol", ""])

    def trim(self):
        rng = self.rng
        return rng.choice([
            lambda: ["MAXLEN", rng.choice(["5", "50", "300", "0", "-1", "x"] + ["200"] * 5)],
            lambda: ["MAXLEN", "=", rng.choice(["50", "100", "x"])],
            lambda: ["MINID", self.stream_id()],
            lambda: ["MINID", "=", str(max(0, self.clock - 3 * self.wide))],
            lambda: ["MAXLEN", "~", rng.choice(["100000", "x", "-1"])] +
            rng.choice([[], ["LIMIT", rng.choice(["0", "5", "-1", "x"])], ["LIMIT"]]),
            lambda: ["MAXLEN", "5", "LIMIT", "1"],
            lambda: ["LIMIT", rng.choice(["0", "1"])],
            lambda: ["MAXLEN", "5", "MINID", "1"],
            lambda: ["NOMKSTREAM"],
        ])()

    def stream_count(self):
        return self.rng.choice([[], [], [], ["COUNT", self.rng.choice(["0", "1", "2", "5", "-1", "x"])], ["COUNT"], ["FOO"]])

    def idle(self):
        return self.rng.choice(["0", "0", "1000000000", "-1", "x"])

    def read_streams(self, first):
        rng = self.rng
        keys = self.some(self.key, 3)
        ids = [rng.choice([first, self.stream_id(), "0"]) for _ in keys]
        return rng.choice([[], [], ["COUNT", rng.choice(["0", "1", "3", "-5", "x"])]]) + ["STREAMS"] + keys + \
            (ids if rng.random() < 0.97 else ids[:-1])

    def claim_words(self):
        rng = self.rng
        return [w for words in rng.sample([["FORCE"], ["JUSTID"], ["IDLE", rng.choice(["0", "5000000000", "x", "-5"])],
                                           ["TIME", rng.choice(["5", "-1", "9999999999999", "x"])],
                                           ["RETRYCOUNT", rng.choice(["0", "7", "-1", "x"])],
                                           ["LASTID", self.stream_id()], ["FOO"], ["LASTID"]],
                                          rng.choice([0, 0, 1, 1, 2, 3])) for w in words]

    def stream(self):
        rng = self.rng
        add = lambda: ["XADD", self.key()] + (self.trim() if rng.random() < 0.2 else []) + [self.new_id()] + \
            (self.values() if rng.random() < 0.97 else self.values()[:-1])
        read = lambda: ["XREADGROUP", "GROUP", self.group_name(), self.consumer()] + \
            rng.choice([[], [], ["NOACK"]]) + self.read_streams(">")
        create = lambda: ["XGROUP", "CREATE", self.key(), self.group_name(), rng.choice(["0", "$", self.stream_id()])] + \
            rng.choice([[], ["MKSTREAM"], ["MKSTREAM"], ["ENTRIESREAD", rng.choice(["0", "3", "-1", "-2", "x"])], ["FOO"]])
        return rng.choice([
            add, add, add, add, add, add, read, read, read, create, create,
            lambda: ["XLEN", self.key()],
            lambda: [rng.choice(["XRANGE", "XREVRANGE"]), self.key(), self.stream_end(), self.stream_end()] +
            self.stream_count(),
            lambda: ["XRANGE", self.key(), "-", "+"] + self.stream_count(),
            lambda: ["XREVRANGE", self.key(), "+", "-"] + self.stream_count(),
            lambda: ["XDEL", self.key()] + self.some(self.stream_id, 10),
            lambda: ["XTRIM", self.key()] + self.trim(),
            lambda: ["XREAD"] + self.read_streams("$"),
            lambda: ["XREAD"] + rng.choice([["NOACK"], ["GROUP", "a", "b"], ["BLOCK", "-1"], ["BLOCK", "x"], ["FOO"]]) +
            self.read_streams("0"),
            lambda: ["XSETID", self.key(), rng.choice([self.stream_id(), str(self.clock)])] +
            rng.choice([[], [], ["ENTRIESADDED", rng.choice(["0", "500", "-1", "x"])], ["MAXDELETEDID", self.stream_id()],
                        ["FOO"]]),
            lambda: ["XGROUP", "SETID", self.key(), self.group_name(), rng.choice(["0", "$", "+", self.stream_id()])] +
            rng.choice([[], ["ENTRIESREAD", rng.choice(["0", "3", "-1", "x"])], ["FOO"]]),
            lambda: ["XGROUP", "DESTROY", self.key(), self.group_name()] if rng.random() < 0.3 else create(),
            lambda: ["XGROUP", rng.choice(["CREATECONSUMER", "DELCONSUMER"]), self.key(), self.group_name(), self.consumer()],
            lambda: ["XACK", self.key(), self.group_name()] + self.some(self.stream_id, 10),
            lambda: ["XPENDING", self.key(), self.group_name()],
            lambda: ["XPENDING", self.key(), self.group_name()] + rng.choice([[], ["IDLE", self.idle()]]) +
            [self.stream_end(), self.stream_end(), rng.choice(["10", "10", "1", "0", "-1", "x"])] +
            rng.choice([[], [self.consumer()], ["a", "b"]]),
            lambda: ["XPENDING", self.key(), self.group_name(), "-", "+", "100"],
            lambda: ["XCLAIM", self.key(), self.group_name(), self.consumer(), self.idle()] +
            self.some(self.stream_id, 8) + self.claim_words(),
            lambda: ["XAUTOCLAIM", self.key(), self.group_name(), self.consumer(), self.idle(), self.stream_end()] +
            rng.choice([[], ["JUSTID"], ["COUNT", rng.choice(["1", "2", "0", "x"])], ["FOO"]]),
            lambda: ["XINFO", "STREAM", self.key()] + rng.choice([[], ["FULL"], ["FULL", "COUNT", "2"], ["FULL", "COUNT"],
                                                                  ["FOO"], ["FULL", "COUNT", "0"]]),
            lambda: ["XINFO", "GROUPS", self.key()],
            lambda: ["XINFO", "CONSUMERS", self.key(), self.group_name()],
            lambda: ["COMMAND", rng.choice(["GETKEYS", "GETKEYSANDFLAGS"])] + rng.choice([
                ["XREAD"] + self.read_streams("$"), read(), add(), ["XGROUP", "CREATE", "k", "g", "$"]]),
            lambda: [rng.choice(["XADD", "XREAD", "XREADGROUP", "XACK", "XCLAIM", "XAUTOCLAIM", "XPENDING", "XTRIM", "XDEL",
                                 "XSETID", "XRANGE"])] + self.some(self.element)[:5],
        ])()

    def keys(self):
        rng = self.rng
        return rng.choice([
            lambda: ["DEL"] + self.some(self.key, 2),
            lambda: ["TYPE", self.key()],
            lambda: ["EXISTS", self.key()],
            lambda: ["RENAME", self.key(), self.key()],
            lambda: ["RENAMENX", self.key(), self.key()],
            lambda: ["SET", self.key(), self.element()],
            lambda: ["EXPIREAT", self.key(), rng.choice(["9999999999", "9999999998", "1", "x"])],
            lambda: ["EXPIREAT", self.key(), "9999999997"],
            lambda: ["EXPIRETIME", self.key()],
            lambda: ["PERSIST", self.key()],
            lambda: ["GET", self.key()],
            lambda: ["SCAN", "0", "COUNT", "10000", "TYPE", rng.choice(["hash", "set", "string", "zset", "stream", "HASH", "x"])],
            lambda: ["KEYS", "*"],
            lambda: ["DBSIZE"],
            lambda: ["COPY", self.key(), self.key()] +
            rng.choice([[], [], ["REPLACE"], ["DB", rng.choice(["0", "1", "16", "x"])], ["DB"], ["FOO"]]),
            lambda: ["OBJECT", rng.choice(["REFCOUNT", "IDLETIME", "FREQ", "ENCODING", "HELP", "x"])] +
            self.some(self.key, 1),
            lambda: ["MOVE", self.key(), rng.choice(["0", "1", "15", "16", "x"])],
        ])()

    def sort(self):
        """What no order is said for (BY a constant on a set, BY and ALPHA with equal weights) differs."""
        words = [self.rng.choice(["SORT", "SORT", "SORT_RO"]), self.key()]
        if self.rng.random() < 0.6:
            words += ["ALPHA"]
        elif self.rng.random() < 0.3:
            words += ["BY", self.rng.choice(["e*", "*", "f*->x", "{g}*->", "no*->f"])]
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            words += ["GET", self.rng.choice(["#", "*", "a*->e1", "x", "e*"])]
        if self.rng.random() < 0.4:
            words += ["LIMIT", self.rng.choice(["0", "1", "3", "-1", "100", "x"]), self.rng.choice(["0", "1", "5", "-1", "x"])]
        words += self.rng.choice([[], ["DESC"], ["ASC"], ["STORE", self.key()], ["STORE", self.key()], ["FOO"]])
        return words

    def next(self):
        if self.rng.random() < 0.01:
            self.wide = self.rng.choice([3, 10, 50, 150, 600])
        if self.queued:
            return self.queued.pop()
        group = self.rng.choice(self.groups)
        words = getattr(self, group)()
        if words[0] in ("XREADGROUP", "XCLAIM", "XAUTOCLAIM") and len(words) > 5:
            # In 7.0 they make a consumer only with something to give to it.
            self.queued = [words]
            at = words.index("STREAMS") + 1 if "STREAMS" in words else 1
            group, consumer = words[2:4]
            keys = words[at:at + (len(words) - at) // 2] if at > 1 else words[1:2]
            self.queued += [["XGROUP", "CREATECONSUMER", key, group, consumer] for key in keys]
            return self.queued.pop()
        return words


# ---- comparing ----------------------------------------------------------------------------------

UNORDERED = {"HKEYS", "HVALS", "SMEMBERS", "SINTER", "SUNION", "SDIFF", "KEYS", "SPOP"}
CHOICES = {"HRANDFIELD", "SRANDMEMBER", "ZRANDMEMBER"}
SCANS = {"SCAN", "HSCAN", "SSCAN", "ZSCAN"}


def numbers(item):
    """Doubles that 7.0 prints with 17 digits and 7.2 with as many as it takes, or that a payload of RESTORE
    had as text, as numbers."""
    mark, value = item
    if isinstance(value, list):
        return (mark, [numbers(i) for i in value])
    if b"." in value or b"e" in value or len(value) > 15:
        try:
            number = float(value)
            return (mark, b"%d" % number if number.is_integer() and abs(number) < 1e15 else number)
        except ValueError:
            pass
    return item


TIMES = {b"idle", b"seen-time", b"radix-tree-keys", b"radix-tree-nodes"}
NEW_IN_7_2 = {b"inactive", b"active-time"}


def without_times(item):
    """Of XINFO: no times of now, nothing of radix trees, nothing that is new in 7.2."""
    mark, value = item
    if not isinstance(value, list):
        return (mark, b"time") if mark == b":" and 10**12 < int(value) < 10**13 else item
    kept, skips = [], 0
    for i, part in enumerate(value):
        is_named = i > 0 and value[i - 1][0] == b"$" and part[0] == b":"
        if part[0] == b"$" and part[1] in NEW_IN_7_2:
            skips = 2
        if skips:
            skips -= 1
        else:
            kept.append((b":", b"time") if is_named and value[i - 1][1] in TIMES else without_times(part))
    return (b"*" if mark == b"%" else mark, kept)


def without_idle(item):
    mark, value = item
    return (mark, value[:2] + [int(value[2][1]) // 10**9] + value[3:])


def shape(words, reply):
    """What must be equal in both replies."""
    mark, value = read(reply)
    if words[0].upper() == "XINFO":
        return without_times((mark, value))
    if words[0].upper() == "XPENDING" and isinstance(value, list) and value and value[0][0] == b"*":
        return (mark, [without_idle(item) for item in value])
    if words[0].upper().startswith("Z"):
        mark, value = numbers((mark, value))
    name = words[0].upper()
    if not isinstance(value, list):
        if name in CHOICES and mark == b"$" and int(len(words)) == 2:
            return (mark, "one")
        return (mark, value)
    if name in UNORDERED:
        return (mark, sorted(value))
    if name == "HGETALL":
        return (mark, sorted(pairs(value)))
    if name in SCANS:
        items = value[1][1]
        return (mark, value[0], sorted(pairs(items) if name in ("HSCAN", "ZSCAN") else items, key=repr))
    if name in CHOICES:
        # Of all: the very elements.  Of some: as many, in the same form.
        return (mark, len(value), [item[0] for item in value])
    return (mark, value)


def check_choice(words, reply, everything):
    """What was chosen is there, and different elements are different."""
    mark, value = read(reply)
    if not isinstance(value, list) or words[0].upper() not in CHOICES:
        return True
    with_values = len(words) == 4
    if with_values and value and value[0][0] == b"*":
        chosen = [tuple(v for _, v in item[1]) for item in value]
    elif with_values:
        chosen = [(a[1], b[1]) for a, b in pairs(value)]
    else:
        chosen = [(item[1],) for item in value]
    is_distinct = int(words[2]) < 0 or len(set(chosen)) == len(chosen)
    allowed = {e if with_values else e[:1] for e in everything}
    return is_distinct and set(chosen) <= allowed


def contents(connection, key):
    kind = read(connection.command(["TYPE", key]))[1]
    words = {b"hash": ["HGETALL", key], b"set": ["SMEMBERS", key], b"string": ["GET", key],
             b"zset": ["ZRANGE", key, "0", "-1", "WITHSCORES"], b"list": ["LRANGE", key, "0", "-1"],
             b"stream": ["XINFO", "STREAM", key, "FULL", "COUNT", "0"]}.get(kind)
    deadline = connection.command(["PEXPIRETIME", key])
    return (kind, deadline, shape(words, connection.command(words)) if words else None)


class Comparison:
    def __init__(self):
        self.compared = self.different = 0

    def note(self, about, words, theirs, ours):
        self.compared += 1
        if theirs != ours and shape(words, theirs) != shape(words, ours) and not known(words, theirs, ours):
            self.report(about, theirs, ours)

    def report(self, about, theirs, ours):
        self.different += 1
        if self.different <= 20:
            print(f"{about}\n  redis: {theirs[:600]!r}\n  ours:  {ours[:600]!r}")


def everything_of(connection, key, name):
    words = {"HRANDFIELD": ["HGETALL", key], "SRANDMEMBER": ["SMEMBERS", key],
             "ZRANDMEMBER": ["ZRANGE", key, "0", "-1", "WITHSCORES"]}[name]
    _, value = read(connection.command(words))
    if not isinstance(value, list):
        return []
    if value and value[0][0] == b"*":
        return [tuple(v for _, v in item[1]) for item in value]
    if name == "ZRANDMEMBER":
        return [(a[1], b[1]) for a, b in pairs(value)]
    if name == "HRANDFIELD":
        return [(a[1], b[1]) for a, b in pairs(value)]
    return [(item[1],) for item in value]


def run(comparison, ports, protocol, rng, groups, rounds):
    redis, ours = (Connection(port) for port in ports)
    for connection in (redis, ours):
        connection.command(["HELLO", protocol])
        assert connection.command(["FLUSHALL"]) == b"+OK\r\n"
    commands = Commands(rng)
    commands.groups = groups
    for i in range(rounds):
        words = commands.next()
        about = f"RESP{protocol} #{i} {[w[:60] for w in words[:12]]}"
        if words[0].upper() in CHOICES and len(words) > 2 and words[2].startswith("-922"):
            words = words[:2] + ["-5"] + words[3:] if words[0] == "SRANDMEMBER" else words
        theirs, mine = redis.command(words), ours.command(words)
        comparison.note(about, words, theirs, mine)
        name = words[0].upper()
        if name in CHOICES and len(words) > 2:
            if not check_choice(words, mine, everything_of(ours, words[1], name)):
                comparison.report(about + " chose what is not there", theirs, mine)
        if i % 200 == 199:
            compare_keys(comparison, redis, ours, f"RESP{protocol} after #{i}")


def compare_keys(comparison, redis, ours, about):
    for key in KEYS + SAME:
        theirs, mine = contents(redis, key), contents(ours, key)
        comparison.compared += 1
        if theirs != mine:
            comparison.report(f"{about}: key {key!r}", repr(theirs).encode(), repr(mine).encode())
    digests = [connection.command(["DEBUG", "DIGEST"]) for connection in (redis, ours)]
    if not any(digest.startswith(b"-") for digest in digests):
        comparison.compared += 1
        if digests[0] != digests[1]:
            comparison.report(f"{about}: DEBUG DIGEST", *digests)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="hash, set, zset, list, geo, stream, sort, keys")
    parser.add_argument("redis_port", type=int)
    parser.add_argument("our_port", type=int)
    args = parser.parse_args()
    comparison = Comparison()
    rng = random.Random(args.seed)
    groups = args.only or ["hash"] * 3 + ["set"] * 4 + ["zset"] * 4 + ["list"] * 3 + ["geo"] * 2 + ["stream"] * 4 + ["sort", "keys"]
    for protocol in (2, 3):
        run(comparison, (args.redis_port, args.our_port), protocol, rng, groups, args.rounds)
    print(f"{comparison.compared} replies compared, {comparison.different} different")
    sys.exit(comparison.different > 0)


if __name__ == "__main__":
    main()
