"""Lock and pub/sub of redis-py as Debian packages it, while the leader dies.

Who holds the lock, by its own account of until when, holds it alone; who subscribed on a node that
lives hears every message that was answered, once, and all hear the same order.  See `run` for the
words that are exchanged with the runner.
"""
import random
import sys
import threading
import time

import redis
from redis.exceptions import LockError, RedisError

PORTS = [int(p) for p in sys.argv[1:]]
TTL = 1.0  # seconds
SAFE = 0.9  # of it: clocks differ, also those of the old leader and the new one
over = threading.Event()


def check(name, problem):
    print("not ok %s: %s" % (name, problem) if problem else "ok %s" % name, flush=True)


def connect(port):
    return redis.Redis(port=port, socket_timeout=10, decode_responses=True)


def leader_dies():
    time.sleep(0.5)  # of work before
    print("midway", flush=True)
    sys.stdin.readline()
    over.set()


# ---- locks -----------------------------------------------------------------------------------

def hold(lock, asked, held):
    """Works, works for longer than it asked for at first, or dies with the lock."""
    interval = [time.monotonic(), asked + SAFE * TTL]
    held.append(interval)
    time.sleep(0.003)
    what = random.random()
    if what < 0.2:
        # The server counts from when it gets this.
        asked = time.monotonic()
        lock.extend(TTL, replace_ttl=True)
        interval[1] = asked + SAFE * TTL
        time.sleep(0.003)
    elif what > 0.97:
        lock.local.token = None
        return
    interval[1] = min(interval[1], time.monotonic())
    lock.release()


def use_lock(port, held, counts, lasts):
    after = 0
    while after < 5:
        try:
            lock = connect(port).lock("py-lock", timeout=TTL, sleep=0.01, blocking=False)
            asked = time.monotonic()
            if lock.acquire():
                counts["got"] += 1
                after += over.is_set()
                hold(lock, asked, held)
            else:
                time.sleep(0.01)
        except (RedisError, LockError):
            counts["failed"] += 1
            time.sleep(0.02)
    lasts.append(port)


def check_locks(held, counts, lasts):
    held.sort()
    latest, twice = 0, None
    for since, until in held:
        if since < latest:
            twice = "held by two from %.3f to %.3f" % (since, latest)
        latest = max(latest, until)
    if not twice and counts["got"] < 20:
        twice = "too few"
    check("one holder of the lock at a time, %(got)d got, %(failed)d failed" % counts, twice)
    check("the lock is got through every node afterwards",
          None if len(lasts) == 2 * len(PORTS) else "through %s" % lasts)


# ---- messages --------------------------------------------------------------------------------

def listen(pubsub, heard):
    for message in pubsub.listen():
        heard.append(message["data"])
        if message["data"] == "last":
            return


def publish(port, name, acked, counts):
    client = connect(port)
    n = 0
    while not over.is_set() or n < 20:
        text = "%s-%d" % (name, n)
        try:
            client.publish("py-room", text)
            acked.append(text)
        except RedisError:
            counts["failed"] += 1
            time.sleep(0.01)
        n += 1
        time.sleep(0.002)


def subscribe(port):
    """On a connection that does not come back by itself, so that a broken one is seen."""
    pubsub = connect(port).pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("py-room")
    pubsub.get_message(timeout=5)
    pubsub.connection.connect = None
    heard = []
    thread = threading.Thread(target=listen, args=(pubsub, heard), daemon=True)
    thread.start()
    return thread, heard


def check_messages(subscribers, acked, counts):
    for thread, _ in subscribers:
        thread.join(10)
    whole = subscribers[0][1]
    missing = [text for text in acked if text not in set(whole)]
    if len(acked) < 100:
        missing = "%d messages" % len(acked)
    check("every message is heard, %d answered, %d failed" % (len(acked), counts["failed"]), missing)
    check("no message is heard twice",
          None if len(set(whole)) == len(whole) else "%d for %d" % (len(whole), len(set(whole))))
    check("all hear one order", None if all(heard == whole for _, heard in subscribers) else
          "%s" % [len(heard) for _, heard in subscribers])


def main():
    held, lasts, acked = [], [], []
    locks, messages = {"got": 0, "failed": 0}, {"failed": 0}
    subscribers = [subscribe(port) for port in PORTS[1:]]
    lockers = [threading.Thread(target=use_lock, args=(port, held, locks, lasts), daemon=True)
               for port in PORTS for _ in range(2)]
    publishers = [threading.Thread(target=publish, args=(port, "p%d" % port, acked, messages))
                  for port in PORTS]
    for thread in lockers + publishers:
        thread.start()
    leader_dies()
    for thread in publishers:
        thread.join()
    for thread in lockers:
        thread.join(20)
    connect(PORTS[1]).publish("py-room", "last")
    check_locks(held, locks, lasts)
    check_messages(subscribers, acked + ["last"], messages)
    print("done", flush=True)


main()
