#!/usr/bin/env python3
"""Writers that remember what was acknowledged, and whether all of it is there at the end.

    acknowledged.py --ports 7001,7002,7003 [--writers 16] [--rate 5000]

Prints "ready", writes until its input says "stop" or ends, some at a time on each connection, and goes
on to the next node where one breaks.  No key is written twice: what is missing or another at the end
was lost.  Then it reads all of it back through every node, and prints what it found as JSON: how many
writes were acknowledged, refused, and of unknown outcome, how many are lost, and which first.
Standard library only."""

import argparse
import collections
import json
import os
import selectors
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import systems  # noqa: E402

AT_ONCE = 4        # of one writer, in one write
SILENCE_S = 10.0   # then its connection is given up
READ_AT_ONCE = 500
READ_S = 60.0      # a cluster that was hurt until now serves within that


def key_of(writer, number):
    return f"w:{writer}:{number}"


class Writer:
    """One connection at a time."""

    def __init__(self, name, ports):
        self.name, self.ports, self.at = name, ports, name % len(ports)
        self.socket, self.input = None, b""
        self.sent = collections.deque()  # numbers without an answer
        self.since = 0.0
        self.next = 0
        self.acknowledged = []
        self.refused = self.unknown = 0

    def connect(self, selector):
        """True if there is a connection."""
        if self.socket is None:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.ports[self.at]), 1)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(self.socket, selectors.EVENT_READ, self)
            except OSError:
                self.at = (self.at + 1) % len(self.ports)
        return self.socket is not None

    def drop(self, selector):
        """What has no answer may or may not have been done."""
        selector.unregister(self.socket)
        self.socket.close()
        self.socket, self.input = None, b""
        self.unknown += len(self.sent)
        self.sent.clear()
        self.at = (self.at + 1) % len(self.ports)

    def write(self, selector):
        if not self.connect(selector):
            return
        numbers = range(self.next, self.next + AT_ONCE)
        self.next += AT_ONCE
        self.sent.extend(numbers)
        self.since = time.monotonic()
        try:
            self.socket.sendall(b"".join(
                systems.Resp.encode("SET", key_of(self.name, n), n) for n in numbers))
        except OSError:
            self.drop(selector)

    def hear(self, selector):
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.drop(selector)
            return
        lines = (self.input + data).split(b"\r\n")
        self.input = lines.pop()
        for line in lines:
            number = self.sent.popleft()
            if line == b"+OK":
                self.acknowledged.append(number)
            elif b"was not executed" in line:
                self.refused += 1
            elif b"may or may not have been executed" in line:
                self.unknown += 1
            else:
                raise systems.ReplyError(line.decode(errors="replace"))


def lost(port, keys_and_values):
    """Those that are not there."""
    missing = []
    client = systems.Resp(port, timeout=READ_S)
    for first in range(0, len(keys_and_values), READ_AT_ONCE):
        part = keys_and_values[first:first + READ_AT_ONCE]
        found = client.ask("MGET", *[key for key, _ in part])
        missing += [key for (key, value), there in zip(part, found)
                    if there != str(value).encode()]
    client.close()
    return missing


class Writers:
    def __init__(self, ports, writers, rate):
        self.ports, self.rate = ports, rate
        self.selector = selectors.DefaultSelector()
        self.all = [Writer(name, ports) for name in range(writers)]
        self.stopped = False
        os.set_blocking(sys.stdin.fileno(), False)
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)

    def turn(self):
        for key, _ in self.selector.select(0.002):
            if key.data is None:
                self.stopped = True
                self.selector.unregister(sys.stdin)
            elif key.data.socket is not None:
                key.data.hear(self.selector)
        for writer in self.all:
            if writer.sent and time.monotonic() - writer.since > SILENCE_S:
                writer.drop(self.selector)

    def run(self):
        """Of what is due, each idle writer takes some; what cannot be taken is not made up for."""
        begun, given = time.monotonic(), 0
        while not self.stopped:
            self.turn()
            due = int((time.monotonic() - begun) * self.rate)
            given = max(given, due - AT_ONCE * len(self.all))
            for writer in self.all:
                if given + AT_ONCE <= due and not writer.sent:
                    writer.write(self.selector)
                    given += AT_ONCE
        while any(writer.sent for writer in self.all):
            self.turn()

    def report(self):
        written = [(key_of(writer.name, number), number) for writer in self.all
                   for number in writer.acknowledged]
        missing = [f"{key} through port {port}" for port in self.ports for key in lost(port, written)]
        return {"acknowledged": len(written), "refused": sum(w.refused for w in self.all),
                "unknown": sum(w.unknown for w in self.all), "lost": len(missing),
                "lost_first": missing[:5]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--ports", required=True)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--rate", type=float, default=5000, help="SETs a second, of all together")
    given = parser.parse_args()
    writers = Writers([int(port) for port in given.ports.split(",")], given.writers, given.rate)
    print("ready", flush=True)
    writers.run()
    found = writers.report()
    print(json.dumps(found), flush=True)
    sys.exit(1 if found["lost"] else 0)


if __name__ == "__main__":
    main()
