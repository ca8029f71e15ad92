#!/usr/bin/env python3
"""Gives payloads of DUMP from a redis-server to a redis-raft node and back, and compares what the
keys hold; and gives both payloads in old forms, made here, and damaged ones.

    compare_dump.py [--rounds N] [--seed S] REDIS_PORT OUR_PORT

Both databases are emptied.  Exit status 1 if anything differs.  Made for redis-server 7.0, which
reads payloads up to version 10: ours say 11, so the version and the checksum are written anew
before they go there; what they hold is of kinds that it knows.
"""
import argparse
import random
import struct
import sys

from compare_redis import Connection
from compare_collections import read

# ---- payloads -----------------------------------------------------------------------------------

POLYNOMIAL = 0x95ac9329ac4bc9b5
TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    TABLE.append(byte)


def crc64(data):
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xff]
    return crc


def seal(body, version=9):
    body += struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def size(n):
    if n < 64:
        return bytes([n])
    if n < 16384:
        return bytes([0x40 | n >> 8, n & 0xff])
    return b"\x80" + struct.pack(">I", n) if n < 1 << 32 else b"\x81" + struct.pack(">Q", n)


def string(data):
    return size(len(data)) + data


def ziplist(items):
    body, before = b"", 0
    for item in items:
        head = bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)
        try:
            n = int(item) if str(int(item)).encode() == item else None
        except ValueError:
            n = None
        if n is None:
            k = len(item)
            head += (bytes([k]) if k < 64 else bytes([0x40 | k >> 8, k & 0xff]) if k < 16384
                     else b"\x80" + struct.pack(">I", k)) + item
        elif 0 <= n <= 12:
            head += bytes([0xf1 + n])
        elif -128 <= n < 128:
            head += b"\xfe" + struct.pack("<b", n)
        elif -1 << 15 <= n < 1 << 15:
            head += b"\xc0" + struct.pack("<h", n)
        elif -1 << 23 <= n < 1 << 23:
            head += b"\xf0" + struct.pack("<i", n)[:3]
        elif -1 << 31 <= n < 1 << 31:
            head += b"\xd0" + struct.pack("<i", n)
        else:
            head += b"\xe0" + struct.pack("<q", n)
        body += head
        before = len(head)
    count = len(items) if len(items) < 65535 else 65535
    return struct.pack("<IIH", len(body) + 11, len(body) + 10 - before, count) + body + b"\xff"


def zipmap(items):
    body = bytes([min(len(items) // 2, 254)])
    for i, item in enumerate(items):
        body += bytes([len(item)]) if len(item) < 254 else b"\xfe" + struct.pack("<I", len(item))
        body += b"\x02" + item + b"\0\0" if i % 2 else item
    return body + b"\xff"


def intset(numbers, width):
    form = {2: "<h", 4: "<i", 8: "<q"}[width]
    return struct.pack("<II", width, len(numbers)) + b"".join(struct.pack(form, n) for n in sorted(numbers))


def flat(pairs):
    return [item for pair in pairs for item in pair]


def old_payloads(rng):
    """Of every kind that a Redis wrote since 2.6, as sealed payloads by name."""
    def some(n, longest=70):
        items = {}
        while len(items) < n:
            items[rng.choice([str(rng.randrange(-1 << rng.randrange(1, 63), 1 << rng.randrange(1, 63))).encode(),
                              bytes(rng.randrange(256) for _ in range(rng.randrange(longest)))])] = 1
        return list(items)
    def scores(n):
        return [repr(rng.choice([0.0, 1.5, -3.0, 1e300, float(rng.randrange(1000))])).encode() for _ in range(n)]
    n = rng.choice([1, 2, 5, 30, 128, 129, 200])
    names, values = some(n), some(n, 300)
    pairs = list(zip(names, values))
    numbers = sorted({rng.randrange(-1 << 14, 1 << 14) for _ in range(n)})
    zset = list(zip(names, scores(n)))
    yield "list", b"\x01" + size(n) + b"".join(map(string, values))
    yield "set", b"\x02" + size(n) + b"".join(map(string, names))
    yield "zset, text", b"\x03" + size(n) + b"".join(string(m) + bytes([len(s)]) + s for m, s in zset)
    yield "zset, infinities", b"\x03\x02\x01a\xfe\x01b\xff"
    yield "hash", b"\x04" + size(n) + b"".join(map(string, flat(pairs)))
    yield "zset, binary", b"\x05" + size(n) + b"".join(string(m) + struct.pack("<d", float(s)) for m, s in zset)
    yield "zipmap", b"\x09" + string(zipmap(flat(pairs[:100])))
    yield "list, ziplist", b"\x0a" + string(ziplist(values))
    for width in (2, 4, 8):
        yield "intset %d" % width, b"\x0b" + string(intset(numbers, width))
    yield "zset, ziplist", b"\x0c" + string(ziplist(flat(sorted(zset, key=lambda p: (float(p[1]), p[0])))))
    yield "hash, ziplist", b"\x0d" + string(ziplist(flat(pairs)))
    yield "quicklist", b"\x0e" + size(2) + string(ziplist(values)) + string(ziplist(names))


# ---- keys ---------------------------------------------------------------------------------------

def hold_stream(connection, key):
    """XINFO STREAM FULL, without what only one of the two has: radix trees, and what 7.2 added."""
    def tidy(item):
        if isinstance(item, tuple) and isinstance(item[1], list):
            return tidy(item[1])
        if not isinstance(item, list):
            return item
        items, names = [], (b"radix-tree-keys", b"radix-tree-nodes", b"active-time")
        skip = False
        for at, one in enumerate(item):
            value = one[1] if isinstance(one, tuple) else one
            if skip or (at % 2 == 0 and value in names):
                skip = not skip
                continue
            items.append(tidy(one))
        return items
    items = tidy(read(connection.command([b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"])))
    if items[1] == (b":", b"0"):  # without entries there it says what the payload said, whatever that was
        at = items.index((b"$", b"recorded-first-entry-id"))
        del items[at:at + 2]
    return b"stream", items


def hold(connection, key):
    kind = connection.command([b"TYPE", key])
    if kind == b"+stream\r\n":
        return hold_stream(connection, key)
    read_it = {b"+string\r\n": [b"GET", key], b"+list\r\n": [b"LRANGE", key, b"0", b"-1"],
               b"+hash\r\n": [b"HGETALL", key], b"+set\r\n": [b"SMEMBERS", key],
               b"+zset\r\n": [b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]}.get(kind)
    if not read_it:
        return kind
    mark, items = read(connection.command(read_it))
    if kind == b"+hash\r\n":
        items = sorted(zip(items[::2], items[1::2]))
    if kind == b"+set\r\n":
        items = sorted(items)
    if kind == b"+zset\r\n":  # 7.2 writes scores shorter; a damaged order is kept there
        items = sorted((member, float(score)) for (_, member), (_, score) in zip(items[::2], items[1::2]))
    return kind, items


def dump(connection, key):
    mark, payload = read(connection.command([b"DUMP", key]))
    assert mark == b"$", payload
    return payload


def make(rng, connection, key):
    """A key of some type, of a size around the bounds of its forms."""
    n = rng.choice([1, 2, 10, 127, 128, 129, 130, 511, 512, 513, 1000])
    def word():
        if rng.random() < 0.4:
            return str(rng.randrange(-1 << rng.choice([7, 13, 16, 24, 32, 62]), 1 << rng.choice([7, 13, 16, 24, 32, 62]))).encode()
        length = rng.choice([1, 5, 20, 63, 64, 65, 100, 5000 if n < 20 else 70])
        return bytes(rng.choice(b"ab") for _ in range(length)) if rng.random() < 0.5 else \
            bytes(rng.randrange(256) for _ in range(length))
    small = [str(rng.randrange(-1 << rng.choice([10, 20, 40]), 1000)).encode() for _ in range(n)]
    words = [word() for _ in range(n)]
    kind = rng.randrange(7)
    if kind == 0:
        return [b"SET", key, rng.choice([word(), b"x" * rng.choice([20, 21, 1000, 100000]), b"", b"-5", b"007"])]
    if kind == 1:
        return [b"RPUSH", key] + words
    if kind == 2:
        return [b"SADD", key] + small
    if kind == 3:
        return [b"SADD", key] + words
    if kind == 4:
        return [b"HSET", key] + flat((w, word()) for w in words)
    score = [rng.choice([b"0", b"1.5", b"-inf", b"inf", b"-3", b"1e17", b"0.1"]) for _ in range(n)]
    return [b"ZADD", key] + flat(zip(score, words if kind == 5 else small))


def make_stream(rng, connection, key):
    """A stream with groups, of some sizes, with gaps."""
    ids, at = [], 1 << rng.choice([0, 40])
    names = [b"a", b"temperature", b"7", b"x" * 70]
    def word():
        return rng.choice([str(rng.randrange(-1 << rng.choice([7, 12, 16, 24, 32, 62]), 1 << 16)).encode(),
                           bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 70]))),
                           b"y" * rng.choice([63, 64, 300, 4095, 4096, 20000 if rng.random() < 0.1 else 5])])
    def some(n=5):
        return rng.sample(ids, min(len(ids), rng.randrange(1, n + 1)))
    connection.command([b"DEL", key])
    connection.command([b"CONFIG", b"SET", b"stream-node-max-entries", rng.choice([b"0", b"3", b"100"])])
    if rng.random() < 0.2:
        connection.command([b"XGROUP", b"CREATE", key, b"g0", b"$", b"MKSTREAM"])
    for i in range(rng.choice([0, 1, 2, 10, 99, 100, 101, 250])):
        at += rng.choice([0, 0, 1, 1000])
        fields = names[:rng.choice([1, 2, 2, 2, 3])] if rng.random() < 0.9 else [word()]
        reply = connection.command([b"XADD", key, b"%d-%s" % (at, b"*" if rng.random() < 0.7 else b"%d" % (1 << 33 | i))] +
                                   flat((name, word()) for name in fields))
        if reply[:1] == b"$":
            ids.append(read(reply)[1])
    for i in range(rng.choice([0, 1, 3, 40])):
        if ids:
            connection.command([b"XDEL", key] + some(2))
    if rng.random() < 0.2:
        connection.command([b"XTRIM", key, b"MAXLEN", b"%d" % rng.randrange(len(ids) + 1)])
    for group in [b"g0", b"group", b"12"][:rng.randrange(4)]:
        connection.command([b"XGROUP", b"CREATE", key, group, rng.choice([b"0", b"$"] + some()), b"ENTRIESREAD",
                            rng.choice([b"-1", b"0", b"5"])])
        for consumer in [b"c", b"alice", b"-3"][:rng.randrange(4)]:
            connection.command([b"XGROUP", b"CREATECONSUMER", key, group, consumer])
            connection.command([b"XREADGROUP", b"GROUP", group, consumer, b"COUNT", b"%d" % rng.choice([1, 5, 120]),
                                b"STREAMS", key, b">"])
            if ids:
                connection.command([b"XCLAIM", key, group, consumer, b"0"] + some())
                connection.command([b"XACK", key, group] + some())
    for i in range(rng.choice([0, 1, 3])):
        if ids:
            connection.command([b"XDEL", key] + some())
    if rng.random() < 0.1 and ids:
        connection.command([b"XSETID", key, b"%d-5" % (at + 7), b"ENTRIESADDED", b"1000", b"MAXDELETEDID", rng.choice(ids)])


class Failed(Exception):
    pass


def expect(what, wanted, got):
    if wanted != got:
        if isinstance(wanted, tuple) and isinstance(got, tuple) and wanted[0] == got[0]:
            different = [pair for pair in zip(wanted[1], got[1]) if pair[0] != pair[1]]
            raise Failed("%s: %d and %d elements, different %.300r" %
                         (what, len(wanted[1]), len(got[1]), different[:3]))
        raise Failed("%s:\n  redis %.300r\n  ours  %.300r" % (what, wanted, got))


def for_old(payload):
    return seal(payload[:-10], 10)


def there_and_back(rng, redis, ours):
    for depth in (b"list-compress-depth", b"list-max-listpack-size"):
        redis.command([b"CONFIG", b"SET", depth, rng.choice([b"0", b"1", b"2"]) if b"depth" in depth
                       else rng.choice([b"-2", b"5", b"100"])])
    if rng.random() < 0.4:
        make_stream(rng, redis, b"k")
        if redis.command([b"EXISTS", b"k"]) == b":0\r\n":
            redis.command([b"SET", b"k", b"v"])
    else:
        redis.command(make(rng, redis, b"k"))
    held = hold(redis, b"k")
    STATISTICS["streams"] += held[0] == b"stream"
    payload = dump(redis, b"k")
    expect("RESTORE here", b"+OK\r\n", ours.command([b"RESTORE", b"k", b"0", payload, b"REPLACE"]))
    expect("held here", held, hold(ours, b"k"))
    back = dump(ours, b"k")
    assert back[-10:-8] == b"\x0b\0"
    expect("DUMP, RESTORE of our own", b"+OK\r\n", ours.command([b"RESTORE", b"k", b"0", back, b"REPLACE"]))
    expect("held here", held, hold(ours, b"k"))
    expect("RESTORE there", b"+OK\r\n", redis.command([b"RESTORE", b"k", b"0", for_old(back), b"REPLACE"]))
    expect("held there", held, hold(redis, b"k"))
    for connection in (redis, ours):
        connection.command([b"DEL", b"k"])
    return payload, back


def both(what, redis, ours, body, version=9):
    """True: both took it."""
    payload = seal(body, version)
    wanted = redis.command([b"RESTORE", b"k", b"0", payload, b"REPLACE"])
    got = ours.command([b"RESTORE", b"k", b"0", payload, b"REPLACE"])
    if got != b"+OK\r\n":
        assert got in (b"-ERR Bad data format\r\n",
                       b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"), got
    return wanted, got


def old_forms(rng, redis, ours):
    for name, body in old_payloads(rng):
        expect(name, (b"+OK\r\n", b"+OK\r\n"), both(name, redis, ours, body))
        expect(name, hold(redis, b"k"), hold(ours, b"k"))
        damage(rng, redis, ours, name, body)


def damage(rng, redis, ours, name, body):
    """What we take of a damaged payload, Redis takes too, and finds the same in it."""
    for _ in range(5):
        bad = bytearray(body)
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = rng.choice([rng.randrange(len(bad)), rng.randrange(min(len(bad), 24))])
            bad[at] = rng.choice([0, 1, 0xff, 0xfe, rng.randrange(256), bad[at] ^ 1 << rng.randrange(8)])
        if rng.random() < 0.2:
            del bad[rng.randrange(1, len(bad)):]
        if bad[0] in (6, 7, 8, 20, 21):
            continue
        wanted, got = both(name, redis, ours, bytes(bad))
        STATISTICS["damaged"] += 1
        STATISTICS["taken"] += got == b"+OK\r\n"
        if got == b"+OK\r\n":
            expect("damaged %s %r" % (name, bytes(bad[:100])), b"+OK\r\n", wanted)
            expect("damaged " + name, hold(redis, b"k"), hold(ours, b"k"))
        else:
            STATISTICS["stricter"] += wanted == b"+OK\r\n"


STATISTICS = {"rounds": 0, "streams": 0, "damaged": 0, "taken": 0, "stricter": 0}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("redis", type=int)
    parser.add_argument("ours", type=int)
    options = parser.parse_args()
    redis, ours = Connection(options.redis), Connection(options.ours)
    redis.command([b"CONFIG", b"SET", b"sanitize-dump-payload", b"yes"])
    for connection in (redis, ours):
        connection.command([b"FLUSHALL"])
    rng = random.Random(options.seed)
    try:
        for _ in range(options.rounds):
            payload, back = there_and_back(rng, redis, ours)
            damage(rng, redis, ours, "of redis-server", payload[:-10])
            damage(rng, redis, ours, "of ours", back[:-10])
            old_forms(rng, redis, ours)
            STATISTICS["rounds"] += 1
    except Failed as failed:
        print("seed %d, round %d: %s" % (options.seed, STATISTICS["rounds"], failed))
        return 1
    print(", ".join("%d %s" % (n, what) for what, n in STATISTICS.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
