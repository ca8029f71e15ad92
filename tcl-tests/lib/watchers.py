#!/usr/bin/env python3
"""Writers and watchers on a cluster whose nodes die, for watch.tcl.

    watchers.py PORT[,PORT...]

Says "ready", works until a line comes on standard input, then waits until the watchers have seen what
there is and holds what they saw against the data: lines "name value", and "violation TEXT" for each
thing that cannot be.

Writers count counters up, on any node, whatever the answers: what an answer lost may have been done, and
the counter then says so.  Some write in transactions, so that entries have several changes.  Each
watcher keeps the position it was told last and, when its connection ends, goes on from there on another
node.  Then, of each counter, there are as many events as its value says, no more and no fewer; and
positions only rise.
"""
import random
import socket
import sys
import threading
import time

COUNTERS = 20
QUIET_S = 30


class Node:
    def __init__(self, port, timeout):
        self.socket = socket.create_connection(("127.0.0.1", port), 2)
        self.socket.settimeout(timeout)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.socket.close()

    def send(self, *words):
        out = b"*%d\r\n" % len(words)
        for word in words:
            out += b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode())
        self.socket.sendall(out)

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, rest = line[:1], line[1:-2]
        if kind in b"*>":
            return [self.read() for _ in range(int(rest))]
        if kind == b"$":
            return None if int(rest) < 0 else self.file.read(int(rest) + 2)[:-2]
        if kind == b"-":
            return RuntimeError(rest.decode())
        return int(rest) if kind == b":" else rest

    def ask(self, *words):
        self.send(*words)
        return self.read()


class Shared:
    def __init__(self, ports):
        self.ports = ports
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.violations = []
        self.writes = 0

    def violation(self, text):
        with self.lock:
            self.violations.append(text)


def write(shared, seed):
    chance = random.Random(seed)
    node = None
    while not shared.stop.is_set():
        try:
            node = node or Node(chance.choice(shared.ports), 6)
            names = ["n:%d" % chance.randrange(COUNTERS) for _ in range(chance.randrange(1, 5))]
            if len(names) == 1:
                node.ask("INCR", names[0])
            else:
                node.ask("MULTI")
                for name in names:
                    node.ask("INCR", name)
                node.ask("SET", "other", "x")
                node.ask("EXEC")
            with shared.lock:
                shared.writes += 1
        except (OSError, EOFError, ValueError):
            if node:
                node.close()
            node = None
            time.sleep(0.05)


def place(position):
    index, _, change = position.partition("-")
    return int(index), int(change) if change else float("inf")


class Watcher(threading.Thread):
    def __init__(self, shared, number, begin):
        super().__init__(daemon=True)
        self.shared, self.number, self.position = shared, number, begin
        self.begin = begin
        self.counts, self.values = {}, {}
        self.resumed = 0
        self.end = None  # the index up to which it has to see everything

    def watch(self):
        node = Node(self.shared.ports[(self.number + self.resumed) % len(self.shared.ports)], 4)
        self.resumed += 1
        try:
            reply = node.ask("RAFT.WATCH", "FROM", self.position, "PREFIX", "n:", "VALUES")
            if isinstance(reply, RuntimeError):
                self.shared.violation("watcher %d: %s" % (self.number, reply))
                raise EOFError
            while not self.is_done():
                self.take(node.read())
        finally:
            node.close()

    def take(self, frame):
        position = frame[1].decode()
        if frame[0] == b"raft.lost":
            self.shared.violation("watcher %d was too slow at %s" % (self.number, self.position))
            raise EOFError
        if place(position) <= place(self.position):
            self.shared.violation("watcher %d: %s after %s" % (self.number, position, self.position))
        self.position = position
        if frame[0] == b"raft.change":
            key = frame[4].decode()
            self.counts[key] = self.counts.get(key, 0) + 1
            if frame[5] == b"string":
                self.value(key, int(frame[6]))
            elif frame[5] != b"changed":
                self.shared.violation("watcher %d: %s is %s" % (self.number, key, frame[5]))

    def value(self, key, value):
        """Behind an entry; of its changes to the same key the later ones are yet to be told."""
        if value < self.counts[key] or value > self.counts[key] + 4:
            self.shared.violation("watcher %d: %s is %d at change %d"
                                  % (self.number, key, value, self.counts[key]))
        self.values[key] = value

    def is_done(self):
        return self.end is not None and place(self.position)[0] >= self.end

    def run(self):
        while not self.is_done():
            try:
                self.watch()
            except (OSError, EOFError, ValueError):
                time.sleep(0.05)


def final_values(shared):
    """Of every counter, and a position behind all of them."""
    for _ in range(200):
        for port in shared.ports:
            try:
                node = Node(port, 6)
                values = {}
                for i in range(COUNTERS):
                    value = node.ask("GET", "n:%d" % i)
                    if isinstance(value, RuntimeError):
                        raise EOFError
                    values["n:%d" % i] = int(value or 0)
                position = node.ask("RAFT.WATCH", "FROM", "$")
                node.close()
                return values, place(position.decode())[0]
            except (OSError, EOFError, AttributeError):
                time.sleep(0.05)
    raise SystemExit("nobody answers")


def main():
    shared = Shared([int(port) for port in sys.argv[1].split(",")])
    writers = [threading.Thread(target=write, args=(shared, i), daemon=True) for i in range(4)]
    watchers = [Watcher(shared, i, "0") for i in range(3)]
    for thread in writers + watchers:
        thread.start()
    print("ready", flush=True)
    sys.stdin.readline()
    shared.stop.set()
    for writer in writers:
        writer.join()
    time.sleep(0.5)
    values, _ = final_values(shared)
    # Twice: what had no answer may have been applied meanwhile, the second is behind it.
    time.sleep(1)
    values, end = final_values(shared)
    deadline = time.time() + QUIET_S
    for watcher in watchers:
        watcher.end = end
        watcher.join(max(0, deadline - time.time()))
        if not watcher.is_done():
            shared.violation("watcher %d is at %s, not at %d" % (watcher.number, watcher.position, end))
        elif watcher.counts != {key: value for key, value in values.items() if value}:
            shared.violation("watcher %d saw %s, there is %s" % (watcher.number, watcher.counts, values))
    print("writes", shared.writes)
    print("changes", sum(values.values()))
    print("resumed", sum(watcher.resumed for watcher in watchers))
    for text in shared.violations[:20]:
        print("violation", text)


main()
