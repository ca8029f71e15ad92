"""redis-py as Debian packages it (RESP2), through its own API, in pipelines, and while a node dies.

See `run` for the words that are exchanged with the runner.
"""
import json
import os
import re
import sys
import time

import redis

PORTS = [int(p) for p in sys.argv[1:]]
ID = "python-redis-%d-" % os.getpid()


def check(name, problem):
    print("not ok %s: %s" % (name, problem) if problem else "ok %s" % name, flush=True)
    return not problem


def connect(port, **options):
    return redis.Redis(port=port, socket_timeout=10, **options)


def differs(expected, actual):
    """None, or what is wrong with a reply."""
    if isinstance(actual, bytes):
        actual = actual.decode("latin1")
    if isinstance(expected, dict):
        if "error" in expected:
            # redis-py cuts ERR off.
            good = isinstance(actual, redis.ResponseError) and str(actual).startswith(
                re.sub("^ERR ?", "", expected["error"]))
        elif "like" in expected:
            good = isinstance(actual, str) and expected["like"] in actual
        elif "map" in expected:
            pairs = dict(zip(actual[::2], actual[1::2]))
            good = {k.decode(): v.decode() for k, v in pairs.items()} == expected["map"]
        else:
            good = isinstance(actual, {"string": str, "integer": int, "array": list,
                                       "map": list}[expected["type"]])
    elif isinstance(expected, list):
        good = isinstance(actual, list) and len(actual) == len(expected) and not any(
            differs(e, a) for e, a in zip(expected, actual))
    else:
        good = actual == expected
    return None if good else "expected %r, got %.200r" % (expected, actual)


def table(client, name):
    """Every command, raw, on one connection."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "commands.json")) as file:
        rows = json.load(file)
    connection = client.connection_pool.get_connection("table")
    problems = []
    for words, expected in rows:
        words = [w.replace("$ID", ID + name) for w in words]
        connection.send_command(*words)
        try:
            actual = connection.read_response()
        except redis.ResponseError as error:
            actual = error
        problem = differs(expected, actual)
        if problem:
            problems.append("%s: %s" % (words, problem))
    client.connection_pool.release(connection)
    check("every command, %s" % name, "; ".join(problems))


def api(client, name):
    """The library's own methods, with its own ideas of replies."""
    r = client
    problems = []

    def expect(what, actual, expected):
        if actual != expected:
            problems.append("%s: expected %r, got %r" % (what, expected, actual))

    expect("flushall", r.flushall(), True)
    expect("set", r.set("k", "v"), True)
    expect("set nx", r.set("k", "v", nx=True), None)
    expect("set get", r.set("k", "w", get=True), b"v")
    expect("get", r.get("k"), b"w")
    expect("setnx", r.setnx("k", "v"), False)
    expect("getset", r.getset("k", "v"), b"w")
    expect("mset", r.mset({"a": 1, "b": 2}), True)
    expect("mget", r.mget("a", "none", "b"), [b"1", None, b"2"])
    expect("msetnx", r.msetnx({"a": 1, "c": 2}), False)
    expect("incr", r.incr("n"), 1)
    expect("incrby", r.incrby("n", 9), 10)
    expect("decr", r.decr("n", 3), 7)
    expect("incrbyfloat", r.incrbyfloat("n", 0.25), 7.25)
    expect("append", r.append("k", "x"), 2)
    expect("strlen", r.strlen("k"), 2)
    expect("getrange", r.getrange("k", 0, 0), b"v")
    expect("setrange", r.setrange("k", 1, "yz"), 3)
    expect("getdel", r.getdel("k"), b"vyz")
    expect("exists", r.exists("a", "none"), 1)
    expect("touch", r.touch("a", "b"), 2)
    expect("type", r.type("a"), b"string")
    expect("rename", r.rename("a", "a2"), True)
    expect("renamenx", r.renamenx("a2", "b"), False)
    expect("keys", sorted(r.keys()), [b"a2", b"b", b"n"])
    expect("scan_iter", sorted(r.scan_iter(count=1)), [b"a2", b"b", b"n"])
    expect("randomkey", r.randomkey() in (b"a2", b"b", b"n"), True)
    expect("dbsize", r.dbsize(), 3)
    expect("delete", r.delete("a2", "b"), 2)
    expect("unlink", r.unlink("n"), 1)
    expect("ping", r.ping(), True)
    expect("echo", r.echo("e"), b"e")
    expect("client_id", isinstance(r.client_id(), int), True)
    expect("client_setname", r.client_setname("me"), True)
    expect("client_getname", r.client_getname(), "me")
    expect("client_list", any(c["name"] == "me" for c in r.client_list()), True)
    expect("client_info", r.client_info()["name"], "me")
    expect("config_get", r.config_get("maxmemory-p*"),
           {"maxmemory-policy": "noeviction"})
    expect("config_set", r.config_set("timeout", 0), True)
    expect("config_resetstat", r.config_resetstat(), True)
    expect("info", r.info()["loading"], 0)
    expect("info raft", "raft_role" in r.info("raft"), True)
    expect("command", "get" in r.command(), True)
    expect("command_count", r.command_count() > 50, True)
    expect("time", abs(r.time()[0] - time.time()) < 5, True)
    expect("role", r.role()[0] in (b"master", b"slave"), True)
    every = bytes(range(256))
    expect("binary", (r.set(every, every * 100), r.get(every)), (True, every * 100))
    pipe = r.pipeline(transaction=False)
    for i in range(500):
        pipe.set("p%d" % i, i)
        pipe.get("p%d" % i)
        pipe.incr("pn")
    replies = pipe.execute()
    wanted = [x for i in range(500) for x in (True, b"%d" % i, i + 1)]
    expect("pipeline", replies == wanted, True)
    pipe = r.pipeline(transaction=False)
    pipe.set("t", "text").incr("t").get("t")
    replies = pipe.execute(raise_on_error=False)
    expect("pipeline with an error", (replies[0], str(replies[1]), replies[2]),
           (True, "value is not an integer or out of range", b"text"))
    decoded = connect(PORTS[1], decode_responses=True, client_name="named")
    decoded.set("ü", "ö")
    expect("decode_responses", (decoded.get("ü"), decoded.client_getname()), ("ö", "named"))
    check("the library's own methods, %s" % name, "; ".join(problems))


def midway():
    """A node dies and comes back: see `run`."""
    victim, other = connect(PORTS[0]), connect(PORTS[1])
    victim.set("survivor", "before")
    print("midway", flush=True)
    os.set_blocking(0, False)
    acked = unknown = refused = once = n = 0
    while not sys.stdin.readline():
        try:
            other.incr("loop")
            acked += 1
        except (redis.ConnectionError, redis.TimeoutError):
            unknown += 1
        except redis.ResponseError as error:
            if "may or may not have been executed" in str(error):
                unknown += 1
            elif "was not executed" in str(error):
                refused += 1
            else:
                check("INCR while a node dies", repr(error))
                return
        n += 1
        while True:
            # The same words again until there is a reply.
            try:
                victim.execute_command("ONCE", ID + "loop", n, "INCR", "once")
                break
            except redis.RedisError:
                try:
                    other.execute_command("ONCE", ID + "loop", n, "INCR", "once")
                    break
                except redis.RedisError:
                    time.sleep(0.02)
        once += 1
        time.sleep(0.002)
    total = int(other.get("loop"))
    check("INCR while a node dies: %d acknowledged, %d unknown, %d not done" %
          (acked, unknown, refused),
          None if acked <= total <= acked + unknown and acked > 20 else "the counter is %d" % total)
    total = int(other.get("once"))
    check("ONCE while a node dies: %d requests" % once,
          None if total == once else "the counter is %d" % total)
    deadline = time.time() + 15
    while True:
        try:
            value = victim.get("survivor")
            break
        except redis.RedisError as error:
            value = repr(error)
            if time.time() > deadline:
                break
            time.sleep(0.05)
    check("the connection to the node that died works again",
          None if value == b"before" else str(value))


def main():
    table(connect(PORTS[0]), "leader")
    table(connect(PORTS[1]), "follower")
    api(connect(PORTS[0]), "leader")
    api(connect(PORTS[1]), "follower")
    midway()
    table(connect(PORTS[0]), "restarted node")
    table(connect(PORTS[2]), "third node")
    print("done", flush=True)


main()
