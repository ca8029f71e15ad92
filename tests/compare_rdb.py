#!/usr/bin/env python3
"""RDB files: fills a server for one, writes one by hand, and compares what two servers hold.

    compare_rdb.py fill PORT [--keys N] [--seed S]     random keys of all types in several databases
    compare_rdb.py write FILE [--version V] [--seed S] [--module]
    compare_rdb.py compare ONE OTHER                   ports; exit status 1 if anything differs

What `write` makes has values in every form since Redis 2.6, each mark that a file may have, keys that
are past their time and collections without an element.  --module: and what a module keeps beside the
keys, which redis-server does not load without that module.
"""
import argparse
import random
import struct
import sys
import time

from compare_redis import Connection
from compare_collections import read
from compare_dump import crc64, hold, make, make_stream, old_payloads, size, string

DATABASES = 16


# ---- fill ---------------------------------------------------------------------------------------

def library(name):
    return b"#!lua name=%s\nredis.register_function('%s', function(keys, args) return '%s' end)" % (name, name, name)


def must(connection, *words):
    reply = connection.command(list(words))
    assert not reply.startswith(b"-"), (words[:3], reply)


def fill(port, keys, rng):
    connection = Connection(port)
    must(connection, b"FLUSHALL")
    must(connection, b"FUNCTION", b"FLUSH")
    for name in (b"one", b"two"):
        must(connection, b"FUNCTION", b"LOAD", library(name))
    now = int(time.time() * 1000)
    for i in range(keys):
        must(connection, b"SELECT", b"%d" % rng.choice([0, 0, 0, 3, 15]))
        key = rng.choice([b"key:%d" % i, b"%d" % i, bytes([i & 255, i >> 8, 0, 13, 10]), b"long" * 70 + b"%d" % i])
        if rng.random() < 0.3:
            make_stream(rng, connection, key)
        else:
            must(connection, *make(rng, connection, key))
        if rng.random() < 0.4:
            connection.command([b"PEXPIREAT", key, b"%d" % (now + rng.randrange(10**6, 10**12))])
    must(connection, b"SELECT", b"0")


# ---- write --------------------------------------------------------------------------------------

def deadline(rng, now, is_past):
    at = now - 1000 * rng.randrange(1, 10**6) if is_past else now + 1000 * rng.randrange(10**4, 10**6)
    return b"\xfd" + struct.pack("<i", at // 1000) if rng.random() < 0.5 else b"\xfc" + struct.pack("<q", at)


def module_aux():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for letter in "test-mod1":
        number = number << 6 | letters.index(letter)
    parts = b"\x02\x02" + b"\x01\x05" + b"\x03" + b"\0\0\0\0" + b"\x04" + b"\0" * 8 + b"\x05" + string(b"text") + b"\0"
    return b"\xf7\x81" + struct.pack(">Q", number << 10 | 1) + parts


def write(path, version, has_module, rng):
    now = int(time.time() * 1000)
    out = b"REDIS%04d" % version + b"\xfa" + string(b"redis-ver") + string(b"9") + b"\xfa" + string(b"ctime") + b"\xc2\0\0\0\1"
    if version >= 10:
        out += b"\xf5" + string(library(b"written"))
    if has_module:
        out += module_aux()
    for database in (0, 1, 15):
        out += b"\xfe" + size(database) + (b"\xfb" + size(100) + size(10) if version >= 7 else b"")
        for i, (name, body) in enumerate(old_payloads(rng)):
            marks = deadline(rng, now, i == 0 or rng.random() < 0.3) if i == 0 or rng.random() < 0.5 else b""
            if version >= 9:
                marks += rng.choice([b"", b"\xf8" + size(rng.randrange(10**5)), b"\xf9\x07"])
            out += marks + body[:1] + string(b"%d %s" % (i, name.encode())) + body[1:]
        out += b"\0" + string(b"number") + b"\xc0\xf9" + b"\0" + b"\xc1\x39\x30" + b"\xc2\0\0\1\0"
        if version >= 9:  # none was ever made; Redis has left them out since 6.2
            out += b"\x02" + string(b"no set") + b"\0" + b"\x04" + string(b"no hash") + b"\0"
    out += b"\xff"
    with open(path, "wb") as file:
        file.write(out + struct.pack("<Q", crc64(out)))


# ---- compare ------------------------------------------------------------------------------------

def without_order(item):
    mark, value = item
    return sorted(map(repr, map(without_order, value))) if isinstance(value, list) else value


def compare(one, other):
    differences = compared = 0
    for database in range(DATABASES):
        for connection in (one, other):
            must(connection, b"SELECT", b"%d" % database)
        names = [{key for _, key in read(connection.command([b"KEYS", b"*"]))[1]} for connection in (one, other)]
        for key in sorted(names[0] ^ names[1]):
            print("database %d: only one has %.100r" % (database, key))
            differences += 1
        for key in sorted(names[0] & names[1]):
            held = [(hold(c, key), c.command([b"PEXPIRETIME", key])) for c in (one, other)]
            compared += 1
            if held[0] != held[1]:
                print("database %d, %.100r:\n  %.300r\n  %.300r" % (database, key, *held))
                differences += 1
    functions = [without_order(read(c.command([b"FUNCTION", b"LIST", b"WITHCODE"]))) for c in (one, other)]
    if functions[0] != functions[1]:
        print("functions:\n  %.500r\n  %.500r" % tuple(functions))
        differences += 1
    print("%d keys and %d libraries compared, %d differences" % (compared, len(functions[0]), differences))
    return differences == 0 and compared > 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fill", "write", "compare"])
    parser.add_argument("arguments", nargs="+")
    parser.add_argument("--keys", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--version", type=int, default=10)
    parser.add_argument("--module", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    if options.verb == "fill":
        fill(int(options.arguments[0]), options.keys, rng)
    elif options.verb == "write":
        write(options.arguments[0], options.version, options.module, rng)
    else:
        return 0 if compare(*(Connection(int(port)) for port in options.arguments)) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
