#!/usr/bin/env python3
"""Clients that write, read and remember, and a judge of what they saw.

    load.py --ports 24000,24001,24002 [--list 6] [--own 2] [--once 2] [--counter 1] ...

Started by the suites (start_load in cluster.tcl): prints "ready" when its clients run, and on
"stop" (or the end of its input) lets them finish, reads everything back through every node, and
prints a report, "name value" a line.  Exits with 1 if a promise was broken; the lines "violation"
tell which.  Other orders on its input: "mark NAME" (reports first_ack_NAME: milliseconds from then
to the first acknowledgement of a write sent later), "verify" (stops the clients for a moment and
judges what there is so far, then goes on).

Kinds of clients, each a thread with a connection that moves on to the next node when it breaks:

  list      APPEND a unique token to a key shared by all of these clients, or GET such a key.
            Because every value is the whole history of its key, and APPEND answers the length,
            this decides linearizability exactly: see judge_list().
  pipeline  the same, with bursts of commands in one write
  own       SET of a key nobody else writes, values 100 bytes to 20 kB, and GET
  counter   INCR of one shared counter
  once      ONCE id n INCR of a shared counter, repeated until a reply comes
  echo      reads of its own key, whose value names the client: a reply that belongs to somebody
            else cannot be mistaken for it

A command ends as acknowledged, as unknown (connection lost, or an error that says so), or as not
done (an error that says so: then it must never show up).  Any other error is a violation, unless
--allow-errors matches it.
"""
import argparse
import os
import re
import socket
import sys
import threading
import time
from collections import Counter

ACKED, UNKNOWN, NOT_DONE = "acked", "unknown", "not done"

# What the server says when a command could not be carried out.
RE_UNKNOWN = re.compile(rb"may or may not have been executed")
RE_NOT_DONE = re.compile(rb"was not executed|^READONLY |^MOVED ")


class ReplyError(Exception):
    """An error reply."""


class Connection:
    """A blocking RESP2 connection."""

    def __init__(self, port, timeout):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=2)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(timeout)
        self.buf = b""

    def close(self):
        self.sock.close()

    def send(self, *commands):
        out = []
        for words in commands:
            out.append(b"*%d\r\n" % len(words))
            for word in words:
                if isinstance(word, str):
                    word = word.encode()
                out.append(b"$%d\r\n%b\r\n" % (len(word), word))
        self.sock.sendall(b"".join(out))

    def _more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("closed by the server")
        self.buf += data

    def read(self):
        """One reply; an error reply is returned, not raised."""
        while b"\r\n" not in self.buf:
            self._more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ReplyError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            if size < 0:
                return None
            while len(self.buf) < size + 2:
                self._more()
            value, self.buf = self.buf[:size], self.buf[size + 2:]
            return value
        if kind == b"*":
            return [self.read() for _ in range(int(rest))] if int(rest) >= 0 else None
        raise ConnectionError("not a reply: %r" % line[:80])

    def call(self, *words):
        self.send(words)
        return self.read()


class Op:
    """One command: what was asked, when, and how it ended."""
    __slots__ = ("key", "token", "invoke", "complete", "outcome", "reply", "client", "batch")

    def __init__(self, key, token, client, batch):
        self.key, self.token, self.client, self.batch = key, token, client, batch
        self.invoke = time.monotonic()
        self.complete = None
        self.outcome = UNKNOWN
        self.reply = None


class Load:
    def __init__(self, options):
        self.options = options
        self.ports = [int(p) for p in options.ports.split(",")]
        self.stopping = threading.Event()
        self.pause = threading.Event()
        self.paused = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.violations = []
        self.errors = Counter()
        self.totals = Counter()
        self.marks = []
        self.last_ack = None
        self.longest_gap = 0.0
        self.latest = Counter()
        self.clients = []
        # No other load on the same cluster has these keys, or ids for ONCE.
        self.prefix = "load%d:" % os.getpid()
        number = 0
        for kind in (ListClient, PipelineClient, OwnClient, CounterClient, OnceClient, EchoClient):
            for _ in range(getattr(options, kind.option)):
                self.clients.append(kind(self, number))
                number += 1

    def violation(self, text):
        with self.lock:
            if len(self.violations) < 20:
                self.violations.append(text)
            self.totals["violations"] += 1

    def acknowledged(self, invoke):
        """A write was acknowledged: for the longest gap, and for the marks."""
        now = time.monotonic()
        if self.last_ack is not None and now - self.last_ack > self.longest_gap:
            self.longest_gap = now - self.last_ack
        self.last_ack = now
        if self.marks:
            with self.lock:
                for mark in self.marks:
                    if mark[2] is None and invoke >= mark[1]:
                        mark[2] = now - mark[1]

    def start(self):
        for client in self.clients:
            client.thread.start()

    def stop_clients(self):
        self.stopping.set()
        deadline = time.monotonic() + self.options.timeout * 4
        for client in self.clients:
            client.thread.join(max(0, deadline - time.monotonic()))
            if client.thread.is_alive():
                self.violation("client %s does not come to an end" % client.name)

    def verify(self):
        """Everything so far, with the clients at rest."""
        self.pause.set()
        for _ in self.clients:
            if not self.paused.acquire(timeout=self.options.timeout * 4):
                self.violation("a client does not come to rest")
        finals = self.judge()
        self.pause.clear()
        return finals

    # -- reading back -----------------------------------------------------

    def patient_call(self, port, *words):
        """A read that must succeed: tried again until the cluster has recovered."""
        deadline = time.monotonic() + 20 * self.options.slow
        while True:
            try:
                connection = Connection(port, self.options.timeout)
                try:
                    reply = connection.call(*words)
                finally:
                    connection.close()
                if not isinstance(reply, ReplyError):
                    return reply
                problem = reply
            except OSError as error:
                problem = error
            if time.monotonic() > deadline:
                raise RuntimeError("cannot read back through port %d: %s" % (port, problem))
            time.sleep(0.05)

    def read_all(self, port, keys):
        values = {}
        keys = sorted(keys)
        for i in range(0, len(keys), 200):
            part = keys[i:i + 200]
            for key, value in zip(part, self.patient_call(port, "MGET", *part)):
                values[key] = value
        return values

    def judge(self):
        keys = set()
        for client in self.clients:
            keys |= client.keys()
        live = [p for p in self.ports if p not in self.options.skip]
        for attempt in range(5):
            # Again if they differ: a write with unknown outcome may land between two readings.
            finals = self.read_all(live[0], keys)
            others = [(port, self.read_all(port, keys)) for port in live[1:]]
            if all(other == finals for _, other in others):
                break
            time.sleep(0.2)
        for port, other in others:
            for key in keys:
                if other[key] != finals[key]:
                    self.violation("%s differs between the ports %d and %d: %.60r and %.60r"
                                   % (key, live[0], port, finals[key], other[key]))
        appends, reads = {}, {}
        for client in self.clients:
            for op in client.appends:
                appends.setdefault(op.key, []).append(op)
            for op in client.reads:
                reads.setdefault(op.key, []).append(op)
        for key in appends:
            for text in judge_list(key, appends[key], reads.get(key, []), finals[key]):
                self.violation(text)
        for kind in (OwnClient, CounterClient, OnceClient):
            for text in kind.judge([c for c in self.clients if isinstance(c, kind)], finals):
                self.violation(text)
        return finals

    def report(self):
        totals = Counter()
        for client in self.clients:
            totals.update(client.totals)
        for name in ("acked", "unknown", "not done", "reads", "reads failed", "reconnects"):
            print(name.replace(" ", "_"), totals[name])
        print("longest_gap_ms %d" % (self.longest_gap * 1000))
        for name, _, first in self.marks:
            print("first_ack_%s %s" % (name, "never" if first is None else int(first * 1000)))
        print("slowest_ms %d" % max(c.slowest * 1000 for c in self.clients))
        for text, count in self.errors.most_common(5):
            print("error %d times: %s" % (count, text))
        for text in self.violations:
            print("violation", text)
        sys.stdout.flush()


# ---- clients -----------------------------------------------------------------------------------


class Client:
    """One thread, one connection at a time."""

    def __init__(self, load, number):
        self.load = load
        self.number = number
        self.name = "%s%d" % (self.option, number)
        self.connection = None
        self.at = number % len(load.ports)
        self.totals = Counter()
        self.appends, self.reads = [], []
        self.slowest = 0.0
        self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)

    def keys(self):
        return set()

    def connect(self):
        """Tries node after node; None when it is time to stop."""
        while not self.load.stopping.is_set() and not self.load.pause.is_set():
            try:
                return Connection(self.load.ports[self.at], self.load.options.timeout)
            except OSError:
                self.move_on()
                time.sleep(0.01)
        return None

    def move_on(self):
        if not self.load.options.stay:
            self.at = (self.at + 1) % len(self.load.ports)

    def drop(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None
            self.totals["reconnects"] += 1
            self.move_on()

    def run(self):
        try:
            while not self.load.stopping.is_set():
                if self.load.pause.is_set():
                    self.load.paused.release()
                    while self.load.pause.is_set():
                        time.sleep(0.005)
                    continue
                if self.connection is None:
                    self.connection = self.connect()
                    if self.connection is None:
                        continue
                self.step()
                if self.load.options.delay:
                    time.sleep(self.load.options.delay / 1000)
        except Exception as error:  # a bug here must not pass for a quiet client
            self.load.violation("%s died: %r" % (self.name, error))
            while not self.load.stopping.is_set():
                if self.load.pause.is_set():
                    self.load.paused.release()
                    while self.load.pause.is_set():
                        time.sleep(0.005)
                time.sleep(0.01)

    def exchange(self, commands):
        """Sends all, reads the replies; None stands for a reply that did not come."""
        replies = []
        begun = time.monotonic()
        try:
            self.connection.send(*commands)
            for _ in commands:
                replies.append((self.connection.read(), time.monotonic()))
        except (OSError, ConnectionError) as error:
            if isinstance(error, TimeoutError) and not self.load.options.allow_hangs:
                self.load.violation("%s: no reply within %g s from port %d to %.80r"
                                    % (self.name, self.load.options.timeout,
                                       self.load.ports[self.at], commands[len(replies)]))
            self.drop()
        now = time.monotonic()
        self.slowest = max(self.slowest, now - begun)
        return replies + [(None, now)] * (len(commands) - len(replies)), len(replies)

    def outcome_of(self, reply):
        """Of an error reply."""
        text = reply.args[0]
        if RE_UNKNOWN.search(text):
            return UNKNOWN
        if RE_NOT_DONE.search(text):
            return NOT_DONE
        allowed = self.load.options.allow_errors
        if not (allowed and re.search(allowed, text.decode("latin1"))):
            self.load.violation("%s: unexpected error: %s" % (self.name, text.decode("latin1")))
        return UNKNOWN

    def count_error(self, reply):
        self.load.errors[reply.args[0].decode("latin1")] += 1

    def finish_writes(self, ops, replies, came):
        for i, (op, (reply, when)) in enumerate(zip(ops, replies)):
            if i >= came:
                op.outcome = UNKNOWN
            elif isinstance(reply, ReplyError):
                self.count_error(reply)
                op.outcome = self.outcome_of(reply)
            else:
                op.outcome, op.reply, op.complete = ACKED, reply, when
                self.load.acknowledged(op.invoke)
            self.totals[op.outcome] += 1


class ListClient(Client):
    option = "list"
    BURST = 1

    def __init__(self, load, number):
        super().__init__(load, number)
        self.n = 0

    def keys(self):
        return {op.key for op in self.appends} | {op.key for op in self.reads}

    def key(self):
        # A key serves for some seconds' worth of appends, so that values stay short; several at a
        # time, so that they are of use to several clients each.
        options = self.load.options
        now = int(time.monotonic() / options.key_seconds)
        return "%slist:%d:%d" % (self.load.prefix, now, self.n % options.keys)

    def step(self):
        commands, ops = [], []
        batch = self.n
        for _ in range(self.BURST):
            self.n += 1
            key = self.key()
            if self.n % 3 == 0:
                op = Op(key, None, self, batch)
                commands.append(("GET", key))
            else:
                op = Op(key, "%d.%d;" % (self.number, self.n), self, batch)
                commands.append(("APPEND", key, op.token))
            ops.append(op)
        replies, came = self.exchange(commands)
        for op, item, i in zip(ops, replies, range(len(ops))):
            if op.token is not None:
                self.appends.append(op)
                self.finish_writes([op], [item], 1 if i < came else 0)
                continue
            reply, when = item
            if i < came and not isinstance(reply, ReplyError):
                op.outcome, op.reply, op.complete = ACKED, reply, when
                self.reads.append(op)
                self.totals["reads"] += 1
            else:
                if i < came:
                    self.count_error(reply)
                    self.outcome_of(reply)
                self.totals["reads failed"] += 1


class PipelineClient(ListClient):
    option = "pipeline"
    BURST = 20


def judge_list(key, appends, reads, final):
    """What is wrong with the history of one key of the list clients; [] if nothing.

    `final` is the concatenation of the tokens in the order in which they took effect, so the order
    of the appends is known, and the history is linearizable if and only if that order agrees with
    real time and each read saw a prefix that real time allows."""
    problems = []
    final = (final or b"").decode("latin1")
    tokens = [t + ";" for t in final.split(";")[:-1]]
    if "".join(tokens) != final:
        return ["%s: torn value %.60r" % (key, final)]
    by_token = {op.token: op for op in appends}
    end_of, order, length = {}, [], 0
    for token in tokens:
        length += len(token)
        if token not in by_token:
            return ["%s: token %s was never sent here" % (key, token)]
        if token in end_of:
            problems.append("%s: %s took effect twice (%s)" % (key, token,
                                                               by_token[token].outcome))
        end_of[token] = length
        order.append(by_token[token])
        if by_token[token].outcome == NOT_DONE:
            problems.append("%s: %s was answered as not done, and yet was done" % (key, token))
    for op in appends:
        if op.outcome != ACKED:
            continue
        if op.token not in end_of:
            problems.append("%s: acknowledged %s is lost" % (key, op.token))
        elif op.reply != end_of[op.token]:
            problems.append("%s: APPEND %s answered %s, but ends at %d"
                            % (key, op.token, op.reply, end_of[op.token]))
    # No append may stand before one that was acknowledged before it was sent.
    earliest = None
    for op in reversed(order):
        if earliest is not None and earliest.complete < op.invoke:
            problems.append("%s: %s stands before %s, which was acknowledged before it was sent"
                            % (key, op.token, earliest.token))
        if op.outcome == ACKED and (earliest is None or op.complete < earliest.complete):
            earliest = op
    # Commands of one burst on one connection keep their order.
    last = {}
    for op in order:
        mark = (op.client, op.batch)
        number = int(op.token[:-1].split(".")[1])
        if last.get(mark, -1) > number:
            problems.append("%s: %s overtook another command of its connection" % (key, op.token))
        last[mark] = number
    problems += judge_reads(key, reads, final, order, end_of)
    return problems


def judge_reads(key, reads, final, order, end_of):
    problems = []
    seen = []
    for read in reads:
        value = (read.reply or b"").decode("latin1")
        if not final.startswith(value) or (value and not value.endswith(";")):
            problems.append("%s: read %.60r, which is no prefix of the final value"
                            % (key, value[-60:]))
        else:
            seen.append((read, len(value)))
    # Writes and reads as points (when it was certain, how much there was then).
    certain = [(op.complete, end_of[op.token]) for op in order if op.outcome == ACKED]
    certain += [(read.complete, length) for read, length in seen]
    certain.sort(key=lambda point: point[0])
    bound, i = 0, 0
    for read, length in sorted(seen, key=lambda item: item[0].invoke):
        while i < len(certain) and certain[i][0] < read.invoke:
            bound = max(bound, certain[i][1])
            i += 1
        if length < bound:
            problems.append("%s: stale read by %s: %d bytes, though %d were there before it began"
                            % (key, read.client.name, length, bound))
    # And none may see what was sent only after it had ended.
    starts = [(op.invoke, end_of[op.token]) for op in order]
    latest, suffix = float("inf"), []
    for invoke, end in sorted(starts, reverse=True):
        latest = min(latest, end)
        suffix.append((invoke, latest))
    for read, length in seen:
        # The first append sent after the read ended must end beyond what the read saw.
        low, high = 0, len(suffix)
        while low < high:
            middle = (low + high) // 2
            if suffix[middle][0] > read.complete:
                low = middle + 1
            else:
                high = middle
        if low > 0 and suffix[low - 1][1] <= length:
            problems.append("%s: %s read what was written later" % (key, read.client.name))
    return problems


class OwnClient(Client):
    """SET and GET of keys of its own.  A value names its key, so that a crossed reply shows."""
    option = "own"
    KEYS = 40

    def __init__(self, load, number):
        super().__init__(load, number)
        self.n = 0
        self.acked = {}    # key -> number of the last acknowledged value
        self.possible = {}  # key -> numbers of all values with unknown outcome

    def keys(self):
        return set(self.acked) | set(self.possible)

    def value(self, key, n):
        size = (100, 400, 2000, 20000)[n % 4] if self.load.options.big else 100
        return ("%s=%d;" % (key, n)).ljust(size, ".").encode()

    def number_in(self, key, value):
        if value is None:
            return 0
        match = re.match(rb"(.*?)=(\d+);", value)
        if not match or match.group(1).decode() != key or value != self.value(key, int(match[2])):
            self.load.violation("%s: foreign or torn value %.60r" % (key, value))
            return None
        return int(match[2])

    def step(self):
        self.n += 1
        key = "%sown:%d:%d" % (self.load.prefix, self.number, self.n % self.KEYS)
        op = Op(key, str(self.n), self, 0)
        replies, came = self.exchange([("SET", key, self.value(key, self.n))])
        self.finish_writes([op], replies, came)
        if op.outcome == ACKED:
            self.acked[key] = self.n
        elif op.outcome == UNKNOWN:
            self.possible.setdefault(key, set()).add(self.n)
        if self.connection is None or self.n % 2:
            return
        replies, came = self.exchange([("GET", key)])
        reply = replies[0][0]
        if came and not isinstance(reply, ReplyError):
            self.totals["reads"] += 1
            self.check(key, reply)
        else:
            if came:
                self.count_error(reply)
                self.outcome_of(reply)
            self.totals["reads failed"] += 1

    def check(self, key, value):
        n = self.number_in(key, value)
        if n is None:
            return
        # A write with unknown outcome may take effect at any later time, but only once; one that
        # showed and was then written over cannot come back, which the list clients prove.
        if n != self.acked.get(key, 0) and n not in self.possible.get(key, ()):
            self.load.violation("%s: is %d, acknowledged was %s" % (key, n, self.acked.get(key)))

    @staticmethod
    def judge(clients, finals):
        for client in clients:
            for key in client.keys():
                client.check(key, finals[key])
        return []


class CounterClient(Client):
    option = "counter"

    def __init__(self, load, number):
        super().__init__(load, number)
        self.seen = []
        self.key = load.prefix + "counter"

    def keys(self):
        return {self.key}

    def step(self):
        op = Op(self.key, None, self, 0)
        replies, came = self.exchange([("INCR", self.key)])
        self.finish_writes([op], replies, came)
        if op.outcome == ACKED:
            self.seen.append(op.reply)

    @staticmethod
    def judge(clients, finals):
        if not clients:
            return []
        final = int(finals[clients[0].key] or 0)
        seen = [n for c in clients for n in c.seen]
        unknown = sum(c.totals[UNKNOWN] for c in clients)
        problems = []
        if len(seen) != len(set(seen)):
            problems.append("counter: two INCR were given the same number")
        if not len(seen) <= final <= len(seen) + unknown:
            problems.append("counter: %d after %d acknowledged and %d unknown INCR"
                            % (final, len(seen), unknown))
        for client in clients:
            if client.seen != sorted(client.seen):
                problems.append("counter: %s saw it go back" % client.name)
        return problems


class OnceClient(Client):
    """Repeats ONCE with the same id until it has a reply: exactly one increment each."""
    option = "once"

    def __init__(self, load, number):
        super().__init__(load, number)
        self.n = 0
        self.pending = False
        self.replies = []
        self.key = load.prefix + "once"

    def keys(self):
        return {self.key}

    def step(self):
        if not self.pending:
            self.n += 1
            self.pending = True
        op = Op(self.key, None, self, 0)
        replies, came = self.exchange(
            [("ONCE", self.load.prefix + self.name, str(self.n), "INCR", self.key)])
        self.finish_writes([op], replies, came)
        if op.outcome == ACKED:
            self.replies.append(op.reply)
            self.pending = False

    @staticmethod
    def judge(clients, finals):
        if not clients:
            return []
        final = int(finals[clients[0].key] or 0)
        seen = sorted(n for c in clients for n in c.replies)
        pending = sum(c.pending for c in clients)
        problems = []
        if len(set(seen)) != len(seen):
            problems.append("once: two requests were given the same number")
        if not len(seen) <= final <= len(seen) + pending:
            problems.append("once: %d after %d requests (%d still without a reply)"
                            % (final, len(seen), pending))
        return problems


class EchoClient(Client):
    """Reads of one key of its own, which names it, and ECHO, many at a time."""
    option = "echo"

    def __init__(self, load, number):
        super().__init__(load, number)
        self.n = 0
        self.written = False

    def step(self):
        key = "%secho:%d" % (self.load.prefix, self.number)
        if not self.written:
            replies, came = self.exchange([("SET", key, key)])
            self.written = came == 1 and replies[0][0] == b"OK"
            return
        commands, expected = [], []
        for _ in range(5):
            self.n += 1
            token = "%s:%d" % (key, self.n)
            commands += [("GET", key), ("ECHO", token), ("STRLEN", key)]
            expected += [key.encode(), token.encode(), len(key)]
        replies, came = self.exchange(commands)
        for i in range(came):
            reply = replies[i][0]
            if isinstance(reply, ReplyError):
                self.count_error(reply)
                self.outcome_of(reply)
                self.totals["reads failed"] += 1
            elif reply != expected[i]:
                self.load.violation("%s: %s answered with %.60r" % (self.name, commands[i], reply))
            else:
                self.totals["reads"] += 1


# ---- the judge judged ----------------------------------------------------------------------------


def self_test():
    """Each kind of wrong history must be found, and a right one must pass."""

    class Name:
        name = "x"

    def op(token, invoke, complete, outcome=ACKED, reply=None, client=None, batch=None):
        made = Op("k", token, client or Name(), batch if batch is not None else object())
        made.invoke, made.complete, made.outcome, made.reply = invoke, complete, outcome, reply
        return made

    def history():
        return [op("1.1;", 0, 1, reply=4), op("2.1;", 2, 3, reply=8),
                op("1.2;", 4, None, UNKNOWN), op("2.2;", 5, 6, reply=12)]

    def run(change, final=b"1.1;2.1;2.2;", reads=()):
        ops = history()
        change(ops)
        return judge_list("k", ops, list(reads), final)

    def nothing(ops):
        del ops

    def expect(what, problems, wanted):
        if bool(problems) != bool(wanted) or (wanted and wanted not in " ".join(problems)):
            print("self-test: %s: %s" % (what, problems or "found nothing"))
            sys.exit(1)

    expect("a right history", run(nothing), None)
    # Both places are allowed for the unknown one, and both are seen by a read.
    for final, length in ((b"1.1;2.1;1.2;2.2;", 16), (b"1.1;2.1;2.2;1.2;", 12)):
        def moved(ops, length=length):
            ops[3].reply = length
        expect("an unknown outcome", run(moved, final, [op(None, 5, 6, reply=final[:12])]), None)
    expect("a lost write", run(nothing, b"1.1;2.2;"), "is lost")
    expect("a write done twice", run(nothing, b"1.1;2.1;2.2;2.2;"), "twice")
    expect("a foreign token", run(nothing, b"1.1;2.1;9.9;2.2;"), "never sent")
    expect("a torn value", run(nothing, b"1.1;2.1;2."), "torn")

    def swapped(ops):
        ops[0].reply, ops[1].reply = 8, 4
    expect("writes out of order", run(swapped, b"2.1;1.1;2.2;"), "stands before")

    def refused(ops):
        ops[1].outcome = NOT_DONE
    expect("a refused write that was done", run(refused), "answered as not done")

    def crossed(ops):
        ops[1].reply = 4
    expect("a reply of another command", run(crossed), "answered 4")
    expect("a read of the past", run(nothing, reads=[op(None, 4, 5, reply=b"1.1;")]), "stale")
    expect("a read that goes back", run(nothing, reads=[
        op(None, 2.1, 2.2, reply=b"1.1;2.1;"), op(None, 2.3, 2.4, reply=b"1.1;")]), "stale")
    expect("a read of the future", run(nothing, reads=[op(None, 0, 1, reply=b"1.1;2.1;")]), "later")
    expect("a read of what was not", run(nothing, reads=[op(None, 4, 5, reply=b"9.9;")]), "prefix")
    expect("a read of nothing", run(nothing, reads=[op(None, 4, 5, reply=None)]), "stale")
    expect("an early read of nothing", run(nothing, reads=[op(None, 0, 1, reply=None)]), None)

    who, batch = Name(), object()

    def burst(ops):
        ops[:] = [op("1.1;", 0, 9, reply=8, client=who, batch=batch),
                  op("1.2;", 0, 9, reply=4, client=who, batch=batch)]
    expect("a pipeline out of order", run(burst, b"1.2;1.1;"), "overtook")

    options = argparse.Namespace(ports="1", slow=1, timeout=1, skip=[], big=False, stay=False,
                                 **{k.option: 0 for k in (ListClient, PipelineClient, OwnClient,
                                                          CounterClient, OnceClient, EchoClient)})
    load = Load(options)
    own = OwnClient(load, 0)
    own.acked["own:0:1"] = 5
    own.check("own:0:1", own.value("own:0:1", 5))
    own.possible["own:0:1"] = {6}
    own.check("own:0:1", own.value("own:0:1", 6))
    expect("own: right", load.violations, None)
    own.check("own:0:1", own.value("own:0:1", 4))
    own.check("own:0:1", None)
    own.check("own:0:1", own.value("own:0:2", 5))
    if len(load.violations) != 3:
        print("self-test: own values: %s" % load.violations)
        sys.exit(1)
    counter = CounterClient(load, 0)
    counter.seen = [1, 2]
    counter.totals[UNKNOWN] = 1
    expect("counter: right", CounterClient.judge([counter], {counter.key: b"3"}), None)
    expect("counter: lost", CounterClient.judge([counter], {counter.key: b"1"}), "after 2")
    expect("counter: twice", CounterClient.judge([counter], {counter.key: b"4"}), "after 2")
    once = OnceClient(load, 0)
    once.replies = [1, 2]
    expect("once: right", OnceClient.judge([once], {once.key: b"2"}), None)
    expect("once: twice", OnceClient.judge([once], {once.key: b"3"}), "after 2")
    print("self-test passed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", default="")
    for kind in ("list", "pipeline", "own", "counter", "once", "echo"):
        parser.add_argument("--" + kind, type=int, default=0, help="clients of this kind")
    parser.add_argument("--timeout", type=float, default=15, help="s to wait for a reply")
    parser.add_argument("--slow", type=float, default=1)
    parser.add_argument("--delay", type=float, default=0, help="ms between commands of a client")
    parser.add_argument("--keys", type=int, default=4, help="list keys in use at a time")
    parser.add_argument("--key-seconds", type=float, default=2)
    parser.add_argument("--big", action="store_true", help="values of up to 20 kB for own")
    parser.add_argument("--stay", action="store_true", help="reconnect to the same node only")
    parser.add_argument("--allow-errors", default="", help="error replies that are all right")
    parser.add_argument("--allow-hangs", action="store_true", help="nodes are stopped: no reply")
    parser.add_argument("--skip", type=int, action="append", default=[],
                        help="do not read back through this port")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        self_test()
        return
    options.timeout *= options.slow
    load = Load(options)
    load.start()
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["stop"]:
            break
        if words[:1] == ["mark"]:
            load.marks.append([words[1], time.monotonic(), None])
        if words[:1] == ["verify"]:
            load.verify()
            print("verified", load.totals["violations"], flush=True)
    load.stop_clients()
    try:
        load.judge()
    except RuntimeError as error:
        load.violation(str(error))
    load.report()
    sys.exit(1 if load.violations else 0)


if __name__ == "__main__":
    main()
