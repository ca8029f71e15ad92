"""What utils/bench/run measures: one load on one system, and what the machine did meanwhile."""

import collections
import json
import os
import resource
import statistics
import subprocess
import time

VALUE_SIZE = 64
DISTURBED_CPUS = 0.4  # used by others than servers and client: see --patience
FIRST_GUESS = {"c1": 1500, "c50": 15000, "c200": 20000, "c50 -P16": 60000}  # requests per second

Load = collections.namedtuple("Load", "name connections pipeline size", defaults=(VALUE_SIZE,))

BEFORE = "redis-raft before"
ALONE = "redis-raft alone"
SERVICES = {"redis-raft": "redis-raft", BEFORE: "redis-raft", ALONE: "redis-raft",
            "redis-server": "redis", "etcd": "etcd"}


class DiskProbe:
    """How long a synced overwrite of 4 KiB takes now: the median, in microseconds."""

    def __init__(self, directory):
        self.file = os.open(os.path.join(directory, "probe"), os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(self.file, bytes(1 << 20), 0)
        os.fsync(self.file)

    def measure(self, seconds=0.08):
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.monotonic_ns()
            os.pwrite(self.file, b"x" * 4096, 4096 * (len(times) % 256))
            os.fdatasync(self.file)
            times.append(time.monotonic_ns() - start)
        return round(statistics.median(times) / 1000)


def machine_busy_seconds():
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def client_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Cell:
    """One row's figure for one system: a load driven by one tool.  `equal`: each process may use
    the same share of a processor."""

    def __init__(self, tool, operation, load, system, follower=False, equal=False):
        self.tool, self.operation, self.load, self.system = tool, operation, load, system
        self.follower, self.equal = follower, equal
        self.results = []

    def key(self):
        return {"tool": self.tool, "operation": self.operation, "load": self.load.name,
                "connections": self.load.connections, "pipeline": self.load.pipeline,
                "system": self.system.name, "target": "follower" if self.follower else "leader",
                "equal_budgets": self.equal}

    def title(self):
        where = (" on a follower" if self.follower else "") + (", equal" if self.equal else "")
        return f"{self.tool} {self.operation} {self.load.name} {self.system.name}{where}"

    def median(self, field):
        values = [r[field] for r in self.results if r.get(field) is not None]
        return statistics.median(values) if values else None


class Failed(Exception):
    """A measurement that did not come about."""


def run_tool(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=300, check=False)
    if done.returncode != 0:
        text = (done.stderr + done.stdout).strip().splitlines()
        raise Failed(f"exit {done.returncode}: {text[-1] if text else ''}")
    return done.stdout


def redis_benchmark(cell, given):
    port = cell.system.follower_port() if cell.follower else cell.system.leader_port()
    load = cell.load
    rate = cell.median("per_second") or FIRST_GUESS.get(load.name, 15000) / 4
    if cell.results:
        rate = cell.results[-1]["per_second"]
    count = max(load.connections * load.pipeline * 4, int(rate * given.seconds))
    words = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-n", str(count), "-c",
             str(load.connections), "-P", str(load.pipeline), "-r", str(given.keys), "--csv"]
    if load.size == VALUE_SIZE:
        words += ["-t", cell.operation.lower(), "-d", str(load.size)]
    else:  # beside the keys of the others, which stay what they are
        words += ["SET", f"{load.size}:__rand_int__", "x" * load.size]
    out = run_tool(words)
    rows = [line.strip('"').split('","') for line in out.splitlines() if line.startswith('"')]
    values = dict(zip(rows[0], rows[-1])) if len(rows) >= 2 else {}
    if not values.get("test", "").startswith(cell.operation):
        raise Failed(f"no result from redis-benchmark: {out.strip()[-200:]}")
    return {"operations": count, "per_second": float(values["rps"]),
            "p50_ms": float(values["p50_latency_ms"]), "p99_ms": float(values["p99_latency_ms"]),
            "max_ms": float(values["max_latency_ms"])}


def redis_raft_bench(cell, given, *extra, seconds=None):
    load = cell.load
    words = [os.path.join(given.build, "redis-raft-bench"), "--service",
             SERVICES[cell.system.name], "--cluster", cell.system.cluster(), "--keys",
             str(given.keys), "--threads", "1", "--connections", str(load.connections), "--pipeline",
             str(load.pipeline), "--seconds", str(seconds or given.seconds), "--value-size",
             str(load.size), "--put-percentage", "100" if cell.operation == "SET" else "0",
             "--no-preload", "--json", *extra]
    found = json.loads(run_tool(words))
    part = found["put"] if cell.operation == "SET" else found["get"]
    if found["misses"]:
        raise Failed(f"{found['misses']} GETs found nothing")
    return {"operations": found["operations"], "per_second": found["per_second"],
            "unsent": found["unsent"],
            **{name: part[name] for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")}}


class Patience:
    """Waits for moments in which nothing else runs, as long as it lasts."""

    def __init__(self, seconds):
        self.seconds = seconds

    def wait_quiet(self, running):
        while self.seconds > 0:
            busy, own = machine_busy_seconds(), sum(s.cpu() for s in running)
            time.sleep(0.3)
            self.seconds -= 0.3
            own = sum(s.cpu() for s in running) - own
            if machine_busy_seconds() - busy - own < DISTURBED_CPUS * 0.3:
                return

    def accepts(self, result):
        if result["other_cpus"] < DISTURBED_CPUS or self.seconds <= 0:
            return True
        self.seconds -= result["seconds"]
        return False


def measure_patiently(cell, given, probe, patience, running):
    while True:
        patience.wait_quiet(running)
        result = measure(cell, given, probe)
        if patience.accepts(result):
            return result


def measure(cell, given, probe, tool=None):
    tool = tool or (redis_benchmark if cell.tool == "redis-benchmark" else redis_raft_bench)
    cell.system.check_alive()
    disk_us = probe.measure()
    start = time.monotonic()
    cpu, client, busy = cell.system.cpu(), client_seconds(), machine_busy_seconds()
    written = cell.system.written()
    try:
        result = tool(cell, given)
    except subprocess.TimeoutExpired as error:
        raise Failed("no end within 300 s") from error
    seconds = time.monotonic() - start
    cpu, client = cell.system.cpu() - cpu, client_seconds() - client
    busy = machine_busy_seconds() - busy
    result.update({"disk_us": disk_us, "seconds": seconds,
                   "cpu_us": cpu * 1e6 / result["operations"],
                   "written": (cell.system.written() - written) / len(cell.system.ports) /
                   result["operations"],
                   "servers_cpus": cpu / seconds, "client_cpus": client / seconds,
                   "other_cpus": max(0.0, busy - cpu - client) / seconds})
    return result
