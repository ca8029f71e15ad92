#!/usr/bin/env python3
"""Says the same to a redis-server and to a redis-raft node over several connections, some of which
wait in BLPOP and its like, and compares what each of them is answered, and in which order.

    compare_blocking.py [--rounds N] [--seed S] REDIS_PORT OUR_PORT...

Both databases are emptied.  The interleaving is fixed by replies: before the next command is said,
each connection that waits is known to wait (INFO) and each other one has answered.  With
several ports of ours the connections are spread over the nodes.  Exit status 1 if anything differs.
Made for redis-server 7.0: it calls a timeout that is too large negative, 7.2 out of range; and a
stream whose new entries were deleted at once gives XREAD an empty array there, in 7.2 it waits on;
and who waits in XREADGROUP is told in other words that the stream is gone.
"""
import argparse
import random
import select
import sys
import time

from compare_redis import Connection, encode

KEYS = ["l1", "l2", "l3"]
SETS = ["z1", "z2"]
STREAMS = ["x1", "x2"]
WAITERS = 5
PATIENCE_S = 20


def random_wait(rng):
    """A command that waits, for ever: a timeout would say something at a time of its own."""
    keys = rng.sample(KEYS, rng.randint(1, 3))
    end = rng.choice(["LEFT", "RIGHT"])
    return rng.choice([
        ["BLPOP", *keys, "0"], ["BRPOP", *keys, "0"],
        ["BLMOVE", keys[0], rng.choice(KEYS), end, rng.choice(["LEFT", "RIGHT"]), "0"],
        ["BRPOPLPUSH", keys[0], rng.choice(KEYS), "0"],
        ["BLMPOP", "0", str(len(keys)), *keys, end, "COUNT", str(rng.randint(1, 3))],
        ["BZPOPMIN", *rng.sample(SETS, rng.randint(1, 2)), "0"],
        ["BZPOPMAX", *rng.sample(SETS, rng.randint(1, 2)), "0"],
        ["BZMPOP", "0", "1", rng.choice(SETS), rng.choice(["MIN", "MAX"])],
        random_read(rng), random_read(rng), random_read(rng),
        ["XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "BLOCK", "0", "STREAMS", rng.choice(STREAMS), ">"],
    ])


def random_read(rng):
    streams = rng.sample(STREAMS, rng.randint(1, 2))
    ids = [rng.choice(["$", "$", "0", "50", "200-3"]) for _ in streams]
    count = ["COUNT", str(rng.randint(1, 3))] if rng.random() < 0.5 else []
    return ["XREAD", *count, "BLOCK", "0", "STREAMS", *streams, *ids]


def random_change(rng, number):
    key, zset, stream = rng.choice(KEYS), rng.choice(SETS), rng.choice(STREAMS)
    entry = ["XADD", stream, f"{number + 1}-1", "n", str(number)]
    streams = [
        [entry], [entry],
        [["MULTI"], entry, ["XADD", stream, f"{number + 1}-2", "n", "two"], ["EXEC"]],
        [["DEL", stream], ["XADD", stream, "0-1", "f", "v"], ["XGROUP", "CREATE", stream, "g", "$"]],
        [["DEL", stream], ["SET", stream, "x"], ["DEL", stream], ["XGROUP", "CREATE", stream, "g", "0", "MKSTREAM"]],
        [["RENAME", stream, "other"], entry, ["RENAME", "other", stream]],
        [["MULTI"], ["XREAD", "BLOCK", "0", "STREAMS", stream, "$"],
         ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", stream, ">"], ["EXEC"]],
        [["EVAL", f"return redis.call('XADD', '{stream}', '{number + 1}-1', 'f', 'v')", "0"]],
        [["EVAL", f"return redis.call('XREAD', 'BLOCK', '0', 'STREAMS', '{stream}', '$')", "0"]],
    ]
    if rng.random() < 0.4:
        return rng.choice(streams)
    return rng.choice([
        [["RPUSH", key, str(number)]],
        [["LPUSH", key, *(f"{number}.{i}" for i in range(rng.randint(1, 4)))]],
        [["ZADD", zset, str(number), f"m{number}"]],
        [["DEL", key, zset]],
        [["RPUSH", "other", str(number)], ["RENAME", "other", key]],
        [["RPUSH", "other", str(number)], ["COPY", "other", key, "REPLACE"], ["DEL", "other"]],
        [["RPUSH", "other", str(number)], ["SORT", "other", "STORE", key], ["DEL", "other"]],
        [["MULTI"], ["RPUSH", key, "a", "b"], ["LPOP", key], ["EXEC"]],
        [["MULTI"], ["RPUSH", key, "a"], ["DEL", key], ["EXEC"]],
        [["LPOP", key]],
        [["MULTI"], ["BLPOP", key, "0"], ["BZPOPMIN", zset, "0"], ["BLMOVE", key, key, "LEFT", "LEFT", "0"],
         ["EXEC"]],
    ])


FIXED = [
    ["BLPOP", "l1"], ["BLPOP", "l1", "x"], ["BLPOP", "l1", "-1"], ["BLPOP", "s", "l1", "0"],
    ["BLPOP", "s", "0"], ["BRPOP", "l1", "s", "0"],
    ["BLMOVE", "l1", "l2", "LEFT", "0"], ["BLMOVE", "l1", "l2", "UP", "LEFT", "0"],
    ["BLMOVE", "l1", "l2", "LEFT", "LEFT", "x"], ["BLMOVE", "s", "l2", "LEFT", "LEFT", "0"],
    ["BRPOPLPUSH", "l1", "l2", "-0.1"], ["BLMPOP", "x", "1", "l1", "LEFT"], ["BLMPOP", "0", "0", "l1", "LEFT"],
    ["BLMPOP", "0", "2", "l1", "LEFT"], ["BLMPOP", "0", "1", "l1", "LEFT", "COUNT", "0"],
    ["BLMPOP", "0", "1", "s", "LEFT"], ["BZMPOP", "0", "1", "z1", "UP"], ["BZMPOP", "-1", "1", "z1", "MIN"],
    ["BZPOPMIN", "s", "0"], ["BZPOPMAX", "z1", "nan"], ["BLPOP", "nothing", "0.01"],
    ["BLMOVE", "nothing", "l1", "LEFT", "LEFT", "0.01"], ["BZMPOP", "0.01", "1", "nothing", "MIN"],
    ["BRPOPLPUSH", "nothing", "l1", "0.01"], ["BLMPOP", "0.01", "1", "nothing", "LEFT"],
    ["XREAD", "BLOCK", "x", "STREAMS", "x1", "$"], ["XREAD", "BLOCK", "-1", "STREAMS", "x1", "$"],
    ["XREAD", "BLOCK", "10", "STREAMS", "s", "$"],
    ["XREAD", "BLOCK", "10", "STREAMS", "x1", "s", "0", "0"], ["XREAD", "BLOCK", "10", "STREAMS", "x1", "$"],
    ["XREAD", "BLOCK", "10", "STREAMS", "x1", "x2", "0", "$"], ["XREAD", "BLOCK", "10", "STREAMS", "x1", ">"],
    ["XREAD", "BLOCK", "10", "STREAMS", "x1", "y"], ["XREAD", "BLOCK", "0", "COUNT", "x", "STREAMS", "x1", "$"],
    ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "10", "STREAMS", "x1", ">"],
    ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "10", "STREAMS", "x1", "$"],
    ["CLIENT", "UNBLOCK", "1000000"], ["CLIENT", "UNBLOCK", "x"], ["CLIENT", "UNBLOCK", "1", "NOW"],
]


class Side:
    """One of the two: the same connections to it."""

    def __init__(self, ports):
        self.ports = ports
        self.probes = [Connection(port) for port in ports]
        self.maker = Connection(ports[0])
        self.waiters = [Connection(ports[i % len(ports)]) for i in range(WAITERS)]
        self.waiting = [False] * WAITERS

    def say(self, command):
        self.maker.socket.sendall(encode(command))
        return self.maker.reply()

    def parked(self):
        """How many wait.  Of ours the leader knows: whoever is about to be served waits no more."""
        count = 0
        for probe in self.probes:
            for section, field in (("raft", b"raft_requests_parked:"), ("clients", b"blocked_clients:")):
                probe.socket.sendall(encode(["INFO", section]))
                reply = probe.reply()
                if field in reply:
                    count += int(reply.split(field)[1].split(b"\r\n")[0])
                    break
        return count

    def answers(self):
        """Of those who waited and wait no more: replies by number, once nobody is about to get one."""
        came = {}
        until = time.time() + PATIENCE_S
        while time.time() < until:
            for i, waiter in enumerate(self.waiters):
                if self.waiting[i] and (waiter.buffer or select.select([waiter.socket], [], [], 0)[0]):
                    came[i] = waiter.reply()
                    if came[i].startswith((b"-UNBLOCKED the stream key", b"-NOGROUP")):
                        came[i] = b"-NOGROUP or its like"
                    self.waiting[i] = False
            if self.parked() == sum(self.waiting):
                return came
            time.sleep(0.002)
        raise SystemExit("nothing comes to rest")


def same(what, one, other):
    if one == other:
        return True
    print(f"{what}\n  redis {one!r}\n  ours  {other!r}")
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("redis_port", type=int)
    parser.add_argument("our_ports", type=int, nargs="+")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sides = [Side([args.redis_port]), Side(args.our_ports)]
    different = replies = 0
    for side in sides:
        side.say(["FLUSHALL"])
        side.say(["SET", "s", "x"])
    for command in FIXED:
        replies += 1
        different += not same(command, *(side.say(command) for side in sides))
    for number in range(args.rounds):
        idle = [i for i in range(WAITERS) if not sides[0].waiting[i]]
        if idle and rng.random() < 0.6:
            i, command = rng.choice(idle), random_wait(rng)
            for side in sides:
                side.waiters[i].socket.sendall(encode(command))
                side.waiting[i] = True
            said = [(i, command)]
        else:
            said = random_change(rng, number)
            for command in said:
                replies += 1
                different += not same(command, *(side.say(command) for side in sides))
        came = [side.answers() for side in sides]
        replies += len(came[0])
        different += not same(f"round {number}: {said}", *came)
        if different > 5:
            break
    for key in KEYS:
        replies += 1
        different += not same(key, *(side.say(["LRANGE", key, "0", "-1"]) for side in sides))
    for key in STREAMS:
        replies += 1
        different += not same(key, *(side.say(["XRANGE", key, "-", "+"]) for side in sides))
    print(f"{replies} replies, {different} different")
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
