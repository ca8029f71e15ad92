"""Caches, sessions and transactions as Python's libraries make them: django-redis, Flask-Session, and
redis-py's pipelines with WATCH.  (redis-py's locks and django-redis's incr() are scripts, which are not
there yet.)

See `run` for the words that are exchanged with the runner.
"""
import os
import sys
import time

import django.conf
import flask
import flask_session
import redis

PORTS = [int(p) for p in sys.argv[1:]]


def check(name, problem):
    print("not ok %s: %s" % (name, problem) if problem else "ok %s" % name, flush=True)


class Expecting:
    """Collects what differs."""

    def __init__(self):
        self.problems = []

    def __call__(self, what, actual, expected):
        if actual != expected:
            self.problems.append("%s: expected %r, got %r" % (what, expected, actual))


def configure_django():
    django.conf.settings.configure(CACHES={
        name: {"BACKEND": "django_redis.cache.RedisCache",
               "LOCATION": "redis://127.0.0.1:%d/3" % PORTS[at], "KEY_PREFIX": "dj"}
        for at, name in enumerate(("default", "follower", "third"))})


def django_cache(alias, name):
    from django.core.cache import caches
    cache, expect = caches[alias], Expecting()
    cache.clear()
    expect("set", cache.set("k", {"a": [1, 2]}, timeout=30), True)
    expect("get", cache.get("k"), {"a": [1, 2]})
    expect("add", cache.add("k", 1), False)
    expect("ttl", 25 < cache.ttl("k") <= 30, True)
    expect("persist", (cache.persist("k"), cache.ttl("k")), (True, None))
    expect("expire", (cache.expire("k", timeout=50), 45 < cache.ttl("k") <= 50), (True, True))
    cache.set("n", 1)
    cache.set_many({"x": 1, "y": 2})
    expect("get_many", cache.get_many(["x", "y", "z"]), {"x": 1, "y": 2})
    expect("keys", sorted(cache.keys("*")), ["k", "n", "x", "y"])
    expect("iter_keys", sorted(cache.iter_keys("*")), ["k", "n", "x", "y"])
    expect("delete_pattern", cache.delete_pattern("?"), 4)
    cache.set("soon", 1, timeout=0.05)
    time.sleep(0.1)
    expect("after its time", cache.get("soon"), None)
    expect("touch", (cache.set("t", 1, timeout=5), cache.touch("t", 100)), (True, True))
    check("django-redis, %s" % name, "; ".join(expect.problems))


def flask_sessions(port, name):
    app, expect = flask.Flask("sessions"), Expecting()
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=port))
    flask_session.Session(app)

    @app.route("/visit")
    def visit():
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        return str(flask.session["visits"])

    ann, bob = app.test_client(), app.test_client()
    expect("visits", [ann.get("/visit").text for _ in range(3)], ["1", "2", "3"])
    expect("another's", bob.get("/visit").text, "1")
    r = redis.Redis(port=port)
    keys = list(r.scan_iter("session:*"))
    expect("sessions", len(keys) >= 2, True)
    expect("they end", all(r.ttl(key) > 0 for key in keys), True)
    check("Flask-Session, %s" % name, "; ".join(expect.problems))


def transactions(port, name):
    r, other, expect = redis.Redis(port=port), redis.Redis(port=PORTS[2]), Expecting()
    r.flushall()
    pipe = r.pipeline()
    pipe.set("k", 1).incr("k").hset("h", mapping={"f": "v"}).zadd("z", {"m": 1.5}).lpush("l", "x")
    expect("pipeline", pipe.execute(), [True, 2, 1, 1, 1])
    pipe = r.pipeline()
    pipe.watch("k")
    other.set("k", "changed")
    pipe.multi()
    pipe.set("k", "lost")
    try:
        pipe.execute()
        lost = "executed"
    except redis.WatchError:
        lost = "WatchError"
    expect("watch", (lost, r.get("k")), ("WatchError", b"changed"))

    def double(pipe):
        value = int(pipe.get("n") or 1)
        pipe.multi()
        pipe.set("n", value * 2)

    expect("transaction", [r.transaction(double, "n") for _ in range(3)], [[True]] * 3)
    expect("its value", r.get("n"), b"8")
    pipe = r.pipeline()
    pipe.set("t", "text").incr("t").get("t")
    replies = pipe.execute(raise_on_error=False)
    expect("with an error", (replies[0], str(replies[1]), replies[2]),
           (True, "value is not an integer or out of range", b"text"))
    check("redis-py with WATCH, %s" % name, "; ".join(expect.problems))


def while_a_node_dies():
    from django.core.cache import caches
    r = redis.Redis(port=PORTS[1], socket_timeout=10)
    caches["default"].set("survivor", "before", timeout=600)
    print("midway", flush=True)
    os.set_blocking(0, False)
    done = lost = unknown = refused = 0
    while not sys.stdin.readline():
        pipe = r.pipeline()
        try:
            pipe.watch("counter")
            value = int(pipe.get("counter") or 0) + 1
            pipe.multi()
            pipe.set("counter", value).rpush("steps", value)
            pipe.execute()
            done += 1
        except redis.WatchError:
            lost += 1
        except (redis.ConnectionError, redis.TimeoutError):
            unknown += 1
        except redis.ResponseError as error:
            if "may or may not have been executed" in str(error):
                unknown += 1
            elif "was not executed" in str(error):
                refused += 1
            else:
                check("a transaction while a node dies", repr(error))
                return
        finally:
            try:
                pipe.reset()
            except redis.RedisError:
                pass
        time.sleep(0.002)
    total, steps = int(r.get("counter")), [int(step) for step in r.lrange("steps", 0, -1)]
    good = steps == list(range(1, total + 1)) and done > 20 and done <= total <= done + unknown
    check("optimistic counter while a node dies: %d done, %d lost, %d unknown, %d not done"
          % (done, lost, unknown, refused), None if good else "%d, steps %s" % (total, steps[-5:]))
    value, deadline = None, time.time() + 15
    while value != "before" and time.time() < deadline:
        try:
            value = caches["default"].get("survivor")
        except Exception as error:  # the library's own, or the one below it
            value = repr(error)
            time.sleep(0.05)
    check("the cache of the node that died works again", None if value == "before" else str(value))


def main():
    configure_django()
    for at, alias, name in ((0, "default", "leader"), (1, "follower", "follower")):
        transactions(PORTS[at], name)
        django_cache(alias, name)
        flask_sessions(PORTS[at], name)
    while_a_node_dies()
    print("done", flush=True)


main()
