#!/usr/bin/env python3
"""Says the same, over several connections, to a redis-server and to one node of redis-raft, and
compares byte by byte what every connection hears: subscriptions, messages, keyspace events.

    compare_messages.py [--rounds N] [--seed S] REDIS_PORT OUR_PORT

Each step is one command on one connection.  Then every connection says PING with a word of its own
and is heard up to that: a node tells its subscribers before it answers, so all there is to be heard
has been heard.  Both databases are emptied.  Exit status 1 if anything differs.

Made for redis-server 7.0 or 7.2.  Not asked is what differs on purpose: the counts of PUBLISH inside
scripts, the order in which several patterns and UNSUBSCRIBE of everything are gone through, and that of
an MSET that names a key twice one event is told.  Keyspace events are compared where the node leads:
through another one the reply may come before them.
"""
import argparse
import random
import socket
import sys

TIMEOUT_S = 10
CONNECTIONS = 5
CHANNELS = ["a", "b", "news.art", "news.x", "", "k\r\n\0"]
PATTERNS = ["*", "news.*", "a*", "[ab]", "?", "nothing"]


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.heard = b""
        self.closed = False

    def say(self, words):
        text = b"*%d\r\n" % len(words)
        for word in words:
            word = word.encode("latin1")
            text += b"$%d\r\n%s\r\n" % (len(word), word)
        try:
            self.socket.sendall(text)
        except OSError:
            self.closed = True

    def hear_up_to(self, word):
        """All that came before the answer to PING `word`, that included."""
        end = b"\r\n%s\r\n" % word.encode()
        while not self.heard.endswith(end) and not self.closed:
            data = self.socket.recv(1 << 16)
            self.closed = not data
            self.heard += data
        heard, self.heard = self.heard, b""
        return heard


class Side:
    def __init__(self, port):
        self.port = port
        self.connections = [Connection(port) for _ in range(CONNECTIONS)]
        self.step_number = 0

    def step(self, at, words):
        self.step_number += 1
        first = self.connections[at]
        heard = []
        order = [first] + [c for c in self.connections if c is not first]
        while "&" in words:  # several commands
            end = words.index("&")
            first.say(words[:end])
            words = words[end + 1:]
        first.say(words)
        for connection in order:
            word = "end-%d" % self.step_number
            connection.say(["PING", word])
            heard.append(connection.hear_up_to(word))
        return heard


def scripted():
    """A list of (connection, words) that has been through everything once."""
    lines = """
0 SUBSCRIBE a|0 SUBSCRIBE a b a|0 PING|0 PING x|0 PING x y|0 GET k|0 HELLO 3|0 MULTI|0 get
0 NOSUCH|0 SUBSCRIBE|0 ECHO x|0 CLIENT ID|0 AUTH x|0 SELECT 1
1 PUBLISH a hello|1 PUBLISH b hello|1 PUBLISH c hello|1 PUBLISH a|1 PUBLISH|1 PUBLISH a b c
2 PSUBSCRIBE a*|1 PUBLISH a hello|1 PUBLISH abc hello|2 PSUBSCRIBE a* ?|2 SUBSCRIBE a|1 PUBLISH a hello
2 PUNSUBSCRIBE ?|2 UNSUBSCRIBE nothing|2 UNSUBSCRIBE a|2 PUNSUBSCRIBE|2 PUNSUBSCRIBE|2 UNSUBSCRIBE|2 GET k
3 SSUBSCRIBE s|3 SSUBSCRIBE s|1 SPUBLISH s hello|1 PUBLISH s hello|1 SPUBLISH a hello|3 SUBSCRIBE s
1 PUBLISH s x|1 SPUBLISH s x|3 SUNSUBSCRIBE|3 SUNSUBSCRIBE|3 SUNSUBSCRIBE s|3 UNSUBSCRIBE s|3 GET k
1 PUBSUB CHANNELS n*|1 PUBSUB CHANNELS a|1 PUBSUB CHANNELS a b|1 PUBSUB NUMSUB|1 PUBSUB NUMSUB a b c
1 PUBSUB NUMPAT|1 PUBSUB NUMPAT x|1 PUBSUB SHARDCHANNELS|1 PUBSUB SHARDNUMSUB s|1 PUBSUB|1 PUBSUB nosuch
4 HELLO 3|4 SUBSCRIBE a|4 GET k|4 PING|4 PING x|4 PUBLISH a self|1 PUBLISH a x|4 PSUBSCRIBE *|4 PUBLISH a self
4 UNSUBSCRIBE|4 UNSUBSCRIBE|4 PUNSUBSCRIBE *|4 PUNSUBSCRIBE|4 SSUBSCRIBE s|1 SPUBLISH s x|4 SUNSUBSCRIBE
4 SUBSCRIBE a|4 HELLO 2|4 GET k|4 SUBSCRIBE b|1 MULTI & PUBLISH a x & SET k v & PUBLISH no x & PUBLISH b y & EXEC|4 RESET|4 GET k|1 PUBLISH a x|1 PUBLISH b x
1 MULTI & PUBLISH & EXEC|1 MULTI & SET k v & PUBSUB NUMSUB a & PUBLISH nobody x & EXEC
0 UNSUBSCRIBE a|0 UNSUBSCRIBE b|0 GET k
4 CLIENT REPLY OFF|4 SUBSCRIBE a|4 CLIENT REPLY ON|1 PUBLISH a x|4 UNSUBSCRIBE|4 RESET
"""
    for line in lines.replace("\n", "|").split("|"):
        if line:
            at, *words = line.split(" ")
            # CLIENT REPLY OFF would silence the PING behind it: not with this way of hearing.
            if words[:2] != ["CLIENT", "REPLY"]:
                yield int(at), words


def some(rng, names):
    return [rng.choice(names) for _ in range(rng.randint(1, 3))]


def random_step(rng):
    at = rng.randrange(CONNECTIONS)
    kind = rng.randrange(20)
    if kind < 3:
        return at, ["SUBSCRIBE"] + some(rng, CHANNELS)
    if kind < 4:
        return at, ["PSUBSCRIBE", rng.choice(PATTERNS)]
    if kind < 5:
        return at, ["SSUBSCRIBE"] + some(rng, CHANNELS)
    if kind < 7:
        return at, ["UNSUBSCRIBE"] + some(rng, CHANNELS)
    if kind < 8:
        return at, ["PUNSUBSCRIBE", rng.choice(PATTERNS)]
    if kind < 9:
        return at, ["SUNSUBSCRIBE"] + some(rng, CHANNELS)
    if kind < 14:
        return at, ["PUBLISH", rng.choice(CHANNELS), rng.choice(["x", "", "y" * 20000])]
    if kind < 16:
        return at, ["SPUBLISH", rng.choice(CHANNELS), "z"]
    if kind < 17:
        return at, ["PUBSUB", rng.choice(["NUMSUB", "SHARDNUMSUB"])] + some(rng, CHANNELS)
    if kind < 18:
        return at, rng.choice([["PUBSUB", "NUMPAT"], ["PING"], ["GET", "k"], ["RESET"]])
    if kind < 19:
        return at, ["HELLO", rng.choice("23")]
    return at, ["SET", "k", "v"]


KEYS = ["k", "l", "m", "n"]
# What changes keys: %k a key, %v a small value, %n a small number.
CHANGES = """
SET %k %v|SET %k %v NX|SET %k %v EX 100|SET %k %v KEEPTTL|SETNX %k %v|SETEX %k 100 %v|GETSET %k %v|GETDEL %k
GETEX %k PERSIST|GETEX %k EX 100|APPEND %k %v|INCR %k|DECRBY %k %n|INCRBYFLOAT %k 1.5|SETRANGE %k %n %v
MSET k %v l %v|MSETNX %k %v mm %v|DEL %k|DEL %k %k|UNLINK %k|EXPIRE %k 100|PERSIST %k|EXPIRE %k -1
RENAME %k %k|RENAMENX %k %k|COPY %k %k|COPY %k %k REPLACE|MOVE %k 1|SETBIT %k %n 1|BITOP OR %k %k %k|PFADD %k %v
LPUSH %k %v %v|RPUSH %k %v|LPUSHX %k %v|LPOP %k|RPOP %k 2|LSET %k 0 %v|LINSERT %k BEFORE %v x|LREM %k 0 %v
LTRIM %k 1 -1|LTRIM %k 5 1|LMOVE %k %k LEFT RIGHT|RPOPLPUSH %k %k|LMPOP 2 %k %k LEFT
SADD %k %v %v|SREM %k %v %v|SPOP %k 9|SMOVE %k %k %v|SINTERSTORE %k %k %k|SUNIONSTORE %k %k %k|SDIFFSTORE %k %k %k
HSET %k %v %v|HDEL %k %v %v|HINCRBY %k %v 1|HINCRBYFLOAT %k %v 1.5|HSETNX %k %v %v
ZADD %k 1 %v 2 %v|ZADD %k XX 5 %v|ZADD %k INCR 1 %v|ZINCRBY %k 1 %v|ZREM %k %v|ZPOPMIN %k|ZPOPMAX %k 2|ZMPOP 1 %k MIN
ZREMRANGEBYRANK %k 0 0|ZREMRANGEBYSCORE %k 0 5|ZREMRANGEBYLEX %k - +|ZUNIONSTORE %k 2 %k %k|ZINTERSTORE %k 2 %k %k
ZRANGESTORE %k %k 0 -1|ZDIFFSTORE %k 2 %k %k|GEOADD %k 1 1 %v|GEOSEARCHSTORE %k %k FROMLONLAT 1 1 BYRADIUS 9 km
XADD %k 5-%n f v|XADD %k MAXLEN 1 5-* f v|XDEL %k 5-1|XTRIM %k MAXLEN 0|XGROUP CREATE %k g 0 MKSTREAM
XGROUP CREATECONSUMER %k g c|XGROUP DELCONSUMER %k g c|XGROUP SETID %k g 0|XGROUP DESTROY %k g|XSETID %k 9-9
XREADGROUP GROUP g c STREAMS %k >|SORT %k BY nosort STORE %k|MULTI & SET %k %v & LPUSH %k %v & DEL %k & EXEC
""".replace("\n", "|").strip("|").split("|")


def random_change(rng):
    words = []
    for word in rng.choice(CHANGES).split(" "):
        word = word.replace("%k", rng.choice(KEYS)).replace("%v", rng.choice("1234"))
        words.append(word.replace("%n", rng.choice("1234")))
    return 0, words


# Of one key each: what tells how many at a time is not compared.
ONE_KEY = [c for c in CHANGES if c.count("%k") == 1 and "XGROUP" not in c and "XREADGROUP" not in c]
READS = """
GET %k|STRLEN %k|MGET %k %k|EXISTS %k|TYPE %k|TTL %k|LLEN %k|LRANGE %k 0 -1|SCARD %k|HGETALL %k|ZSCORE %k 1
SINTERCARD 2 %k %k|ZUNION 2 %k %k|XLEN %k|GETRANGE %k 0 1|MULTI & GET %k & SET n 1 & EXEC
""".replace("\n", "|").strip("|").split("|")
TRACKING = """
ON|ON BCAST|ON BCAST PREFIX k PREFIX l|ON OPTIN|ON OPTOUT|ON NOLOOP|OFF|ON PREFIX x|ON OPTIN OPTOUT|ON BCAST OPTIN
ON NOSUCH|on bcast noloop|ON REDIRECT 99999|ON REDIRECT x|ON PREFIX|ON BCAST PREFIX a PREFIX ab|ON BCAST PREFIX k|MAYBE
""".replace("\n", "|").strip("|").split("|")


def random_tracking_step(rng):
    at = rng.randrange(1, CONNECTIONS)
    kind = rng.randrange(20)
    if kind < 1:
        return at, ("CLIENT TRACKING " + rng.choice(TRACKING)).split(" ")
    if kind < 2:
        return at, ["CLIENT", "TRACKING", "OFF"]
    if kind < 3:
        return at, ["CLIENT", "CACHING", rng.choice(["YES", "NO", "MAYBE"])]
    if kind < 4:
        return at, rng.choice([["CLIENT", "TRACKINGINFO"], ["CLIENT", "GETREDIR"]])
    text = rng.choice(ONE_KEY if kind < 10 else READS)
    for mark, words in [("%k", KEYS), ("%v", "1234"), ("%n", "1234")]:
        while mark in text:
            text = text.replace(mark, rng.choice(words), 1)
    return at, text.split(" ")


def tracking(checker, rng, rounds):
    """Reads, changes and CLIENT TRACKING of four connections, in RESP3 but for one."""
    checker.begin_anew()
    checker.step(0, ["FLUSHALL"])
    for at in range(1, CONNECTIONS - 1):
        checker.step(at, ["HELLO", "3"])
    for number in range(rounds):
        checker.step(*random_tracking_step(rng))
        if rng.randrange(30) == 0:
            checker.step(0, ["FLUSHALL"])
    checker.begin_anew()


def is_uncertain(at, words, patterns):
    """Two patterns that match: which comes first is not said."""
    return words[0] == "PUBLISH" and len(patterns) > 1


class Checker:
    def __init__(self, ports):
        self.sides = [Side(port) for port in ports]
        self.steps = self.different = 0
        self.patterns = set()

    def step(self, at, words):
        if words[0].upper() == "PSUBSCRIBE":
            self.patterns.update(words[1:])
        if is_uncertain(at, words, self.patterns):
            return
        theirs, ours = [side.step(at, words) for side in self.sides]
        self.steps += 1
        if words[0].upper() == "HELLO":  # it says who answers
            theirs, ours = theirs[1:], ours[1:]
        if theirs == ours:
            return
        self.different += 1
        print("connection %d: %r\n  theirs %r\n  ours   %r" % (at, words, theirs, ours))

    def leads(self):
        role = Connection(self.sides[1].port)
        role.say(["ROLE"])
        role.say(["PING", "end"])
        return b"master" in role.hear_up_to("end")

    def begin_anew(self):
        for at in range(CONNECTIONS):
            self.step(at, ["RESET"])
        self.patterns = set()


def keyspace_events(checker, rng, rounds):
    """What one who is subscribed to all events of all databases hears of random changes."""
    checker.begin_anew()
    for letters in ["KEA", "K$", "Elg", "Kx", "Es", "KEh", "Kz", "KEt", "", "g$", "KEA"]:
        checker.step(0, ["CONFIG", "SET", "notify-keyspace-events", letters])
        checker.step(0, ["CONFIG", "GET", "notify-keyspace-events"])
        checker.step(1, ["PSUBSCRIBE", "__key*__:*"])
        for _ in range(rounds // 10 if letters else 10):
            checker.step(*random_change(rng))
            if rng.randrange(4) == 0:
                checker.step(0, ["DEL", rng.choice(KEYS)])
            if rng.randrange(50) == 0:
                checker.step(0, ["FLUSHALL"])
    checker.step(0, ["CONFIG", "SET", "notify-keyspace-events", ""])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("ports", type=int, nargs=2)
    options = parser.parse_args()
    checker = Checker(options.ports)
    rng = random.Random(options.seed)
    checker.step(0, ["FLUSHALL"])
    for at, words in scripted():
        checker.step(at, words)
    for number in range(options.rounds):
        if number % 40 == 0:
            checker.begin_anew()
        checker.step(*random_step(rng))
    if checker.leads():
        keyspace_events(checker, rng, options.rounds)
        tracking(checker, rng, options.rounds)
    print("%d steps, %d different" % (checker.steps, checker.different))
    sys.exit(checker.different > 0)


if __name__ == "__main__":
    main()
