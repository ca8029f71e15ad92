"""What a probe client finds while something large goes on beside it.

measure() runs the probe as a process of its own, so that nothing of ours delays it."""

import os
import random
import subprocess
import sys
import threading
import time

import systems

VALUE = 1000  # bytes
BATCHES_S = 50  # of a load that is more than that


def rss_mb(pid):
    with open(f"/proc/{pid}/status") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def fill(port, megabytes):
    """Sets keys to values that do not compress, from the first on."""
    source = random.Random(1)
    client = systems.Resp(port, timeout=120)
    client.ask_all(["MSET"] + [word for i in range(100) for word in
                               (f"key:{first + i:09d}", source.randbytes(VALUE))]
                   for first in range(0, megabytes * 1000000 // VALUE, 100))
    client.close()


class Load(threading.Thread):
    """Sets keys at random, some at a time, until it is stopped: those that fill() has set, or with
    values of another size as many others."""

    def __init__(self, port, rate, keys, size=VALUE):
        super().__init__(daemon=True)
        self.port, self.rate, self.keys, self.size = port, rate, keys, size
        self.prefix = "key" if size == VALUE else "other"
        self.done, self.is_over, self.error = 0, False, None

    def run(self):
        try:
            self.set_keys()
        except (OSError, systems.ReplyError) as error:
            self.error = error

    def set_keys(self):
        source = random.Random(2)
        client = systems.Resp(self.port, timeout=60)
        batch, next_at = max(100, round(self.rate / BATCHES_S)), time.monotonic()
        while not self.is_over:
            next_at = max(next_at + batch / self.rate, time.monotonic() - 1)
            time.sleep(max(0, next_at - time.monotonic()))
            client.ask_all([["SET", f"{self.prefix}:{source.randrange(self.keys):09d}",
                             source.randbytes(self.size)] for _ in range(batch)], ahead=batch)
            self.done += batch

    def end(self):
        """What was measured beside a load that ended by itself is nothing."""
        self.is_over = True
        self.join()
        if self.error:
            raise SystemExit(f"the load ended: {self.error}")


class Memory(threading.Thread):
    """By how much a process grows."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.is_over = pid, False
        self.before = self.most = rss_mb(pid)

    def run(self):
        while not self.is_over:
            self.most = max(self.most, rss_mb(self.pid))
            time.sleep(0.1)

    def end(self):
        self.is_over = True
        self.join()
        return f"  leader's memory {self.before:.0f} MB, +{self.most - self.before:.0f} MB"


ASKS = {"SET": ("SET", "probe", "x"), "GET": ("GET", "probe")}


SLOW_MS = 20


class Found(float):
    """A probe's 99th percentile in ms, its worst, and the answers that took longer than SLOW_MS:
    what was asked, when, and when it was answered, in Unix microseconds, and for how many ms of that
    the probe waited for a processor."""

    worst, slow = 0.0, ()


def measure(port, rate, title, meanwhile, asks="SET"):
    """Calls `meanwhile` and prints what it took, what a probe found that sent such requests in turn,
    and what it returned; gives what the probe found."""
    words = [sys.executable, os.path.abspath(__file__), str(port), str(rate), asks]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        process.stdout.readline()
        begun = time.monotonic()
        note = meanwhile()
        took = time.monotonic() - begun
        process.stdin.close()
        numbers, *slow = process.stdout.read().splitlines()
        count, median, p99, worst, refused = numbers.split()
    note = (note or "") + (f"  REFUSED: {refused}" if refused != "0" else "")
    print(f"{title:24} {took:6.1f} s  p50 {float(median):6.2f}  p99 {float(p99):7.2f}"
          f"  max {float(worst):7.1f} ms  of {count}{note}", flush=True)
    found = Found(p99)
    found.worst = float(worst)
    found.slow = [(name, int(began), int(ended), float(waited))
                  for name, began, ended, waited in map(str.split, slow)]
    return found


def waited_ms():
    """Since this process began, for a processor."""
    with open("/proc/self/schedstat", encoding="ascii") as line:
        return int(line.read().split()[1]) / 1000000


def probe(port, rate, asks):
    """Asks until its input ends; then says how long each took, in ms."""
    client = systems.Resp(port, timeout=60)
    client.ask("SET", "probe", "x")
    requests = [ASKS[name] for name in asks.split(",")]
    os.set_blocking(sys.stdin.fileno(), False)
    print("ready", flush=True)
    times, slow, refused, next_at = [], [], 0, time.monotonic()
    while sys.stdin.buffer.read(1) is None:
        next_at = max(next_at + 1 / rate, time.monotonic() - 1)
        time.sleep(max(0, next_at - time.monotonic()))
        words = requests[len(times) % len(requests)]
        waited = waited_ms()
        begun, begun_us = time.monotonic(), time.time_ns() // 1000
        try:
            client.ask(*words)
        except systems.ReplyError:
            refused += 1
        times.append((time.monotonic() - begun) * 1000)
        if times[-1] > SLOW_MS:
            slow.append((words[0], begun_us, time.time_ns() // 1000, waited_ms() - waited))
    times.sort()
    print(len(times), times[len(times) // 2], times[int(len(times) * 0.99)], times[-1], refused)
    for line in slow:
        print(*line)


if __name__ == "__main__":
    probe(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
