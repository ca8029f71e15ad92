"""The systems that utils/bench/run and utils/bench/failover start, ask and stop.

Each is a set of processes on the loopback interface with data directories of their own below one
directory.  They are ended by process id, and the kernel ends them if this process dies first.
Standard library only."""

import base64
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time


class ReplyError(Exception):
    """An error reply of the server."""


class Resp:
    """A connection that speaks RESP2; replies come back as bytes, int, list or None."""

    def __init__(self, port, timeout=5.0, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    @staticmethod
    def encode(*words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        return b"".join(parts)

    def send(self, *words):
        self.socket.sendall(self.encode(*words))

    def receive(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise ReplyError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        size = int(rest)
        if size < 0:
            return None
        if kind == b"$":
            return self.file.read(size + 2)[:-2]
        if kind == b"*":
            return [self.receive() for _ in range(size)]
        raise ValueError(f"not RESP2: {line!r}")

    def ask_all(self, commands, ahead=8):
        """Sends them one by one, `ahead` under way at a time; an error ends it."""
        under_way = 0
        for words in commands:
            self.send(*words)
            under_way += 1
            if under_way == ahead:
                self.receive()
                under_way -= 1
        for _ in range(under_way):
            self.receive()

    def ask(self, *words):
        self.send(*words)
        return self.receive()


def cpu_seconds(pid):
    """User and system time of a process with all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(what, seconds, condition):
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


_libc = ctypes.CDLL(None)


def die_with_parent():
    pr_set_pdeathsig = 1
    _libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


def written_bytes(pid):
    """What a process made the kernel write to disks."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        fields = dict(line.split(": ") for line in file)
    return int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])


class System:
    """Some processes.  Subclasses say what they are started with and who leads."""

    name = "?"
    ports = ()  # where clients connect
    peer_ports = ()

    def __init__(self, directory):
        self.directory = os.path.join(directory, self.name)
        self.processes = {}  # number of the node -> Popen

    def command(self, node):
        raise NotImplementedError

    def environment(self, node):
        """What a node is started with beside what we have."""
        return {}

    def start(self):
        self.check_ports()
        shutil.rmtree(self.directory, ignore_errors=True)
        for node in range(len(self.ports)):
            self.start_node(node)
        self.leader_port()

    def check_ports(self):
        """Before anything is removed: another run may be using the ports and the directory."""
        for port in self.ports + self.peer_ports:
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError as error:
                raise RuntimeError(f"{self.name}: port {port} of 127.0.0.1: {error}") from error

    def start_node(self, node):
        directory = os.path.join(self.directory, str(node))
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(self.directory, f"{node}.out"), "ab") as out:
            self.processes[node] = subprocess.Popen(
                self.command(node), stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                cwd=directory, env={**os.environ, **self.environment(node)}, preexec_fn=die_with_parent)

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for node in list(self.processes):
            self.end_node(node, grace=2)

    def end_node(self, node, grace=0):
        """Waits `grace` seconds for an end under way, then kills."""
        process = self.processes.pop(node)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def pids(self):
        return [process.pid for process in self.processes.values()]

    def cpu(self):
        return sum(cpu_seconds(pid) for pid in self.pids())

    def written(self):
        return sum(written_bytes(pid) for pid in self.pids())

    def check_alive(self):
        for node, process in self.processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"{self.name}: node {node} ended with {process.returncode}, "
                                   f"see {self.directory}/{node}.out")

    def leader(self):
        """The number of the leading node, or None."""
        raise NotImplementedError

    def wait_leader(self, seconds=20):
        def found():
            self.check_alive()
            leader = self.leader()
            return None if leader is None else [leader]
        return wait_until(f"{self.name}: a leader", seconds, found)[0]

    def leader_port(self):
        return self.ports[self.wait_leader()]

    def follower_port(self):
        return self.ports[(self.wait_leader() + 1) % len(self.ports)]

    def cluster(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)


def find_redis(build):
    """Debian's package of redis-server starts a service; redis-tools holds the same program under
    another name, which is used where there is no redis-server."""
    if shutil.which("redis-server"):
        return
    same = shutil.which("redis-check-rdb")
    if not same:
        sys.exit("redis-server is not there: install redis-tools")
    programs = os.path.join(os.path.abspath(build), "bin")
    os.makedirs(programs, exist_ok=True)
    link = os.path.join(programs, "redis-server")
    if not os.path.lexists(link):
        os.symlink(same, link)
    os.environ["PATH"] += os.pathsep + programs


class RedisServer(System):
    """One unreplicated redis-server that syncs every write, as a replicated store must."""

    name = "redis-server"

    def __init__(self, directory, base):
        super().__init__(directory)
        self.ports = (base,)

    def command(self, node):
        return ["redis-server", "--port", str(self.ports[0]), "--bind", "127.0.0.1",
                "--appendonly", "yes", "--appendfsync", "always", "--save", ""]

    def leader(self):
        try:
            client = Resp(self.ports[0], timeout=2)
            client.ask("PING")
            client.close()
            return 0
        except (OSError, ReplyError):
            return None


class RaftCluster(System):
    """Nodes of ours, clients on base+1.., peers on base+51..."""

    name = "redis-raft"

    def __init__(self, directory, base, binary, nodes=3, options=(), name=None):
        self.name = name or self.name
        super().__init__(directory)
        self.binary = os.path.abspath(binary)
        self.ports = tuple(base + 1 + i for i in range(nodes))
        self.peer_ports = tuple(base + 51 + i for i in range(nodes))
        self.options = list(options)

    def command(self, node):
        words = [self.binary, "--port", str(self.ports[node]), "--bind", "127.0.0.1",
                 "--dir", os.path.join(self.directory, str(node)), "-me", str(node)]
        for peer, port in enumerate(self.peer_ports):
            words += ["-node", f"{peer},127.0.0.1:{port}"]
        return words + self.options

    def status(self, node):
        """RAFT.STATUS of a node as a dict, or None when it does not answer."""
        try:
            client = Resp(self.ports[node], timeout=2)
            try:
                flat = client.ask("RAFT.STATUS")
            finally:
                client.close()
        except (OSError, ReplyError):
            return None
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}

    def leader(self):
        """The node that says it leads, in the highest term, if all running nodes agree."""
        statuses = [self.status(node) for node in self.processes]
        known = [status for status in statuses if status]
        leading = [s for s in known if s["role"] == b"leader"]
        if not leading or len(known) < len(statuses):
            return None
        best = max(leading, key=lambda s: int(s["term"]))
        agree = all(int(s["term"]) == int(best["term"]) and
                    s["leader"] is not None and int(s["leader"]) == int(best["node"])
                    for s in known)
        return int(best["node"]) if agree else None


class EtcdCluster(System):
    """etcd's nodes with its defaults."""

    name = "etcd"

    def __init__(self, directory, base, nodes=3):
        super().__init__(directory)
        self.ports = tuple(base + i for i in range(nodes))
        self.peer_ports = tuple(base + 50 + i for i in range(nodes))

    def command(self, node):
        client = f"http://127.0.0.1:{self.ports[node]}"
        peer = f"http://127.0.0.1:{self.peer_ports[node]}"
        members = ",".join(f"n{i}=http://127.0.0.1:{port}"
                           for i, port in enumerate(self.peer_ports))
        return ["etcd", "--name", f"n{node}",
                "--data-dir", os.path.join(self.directory, str(node), "data"),
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", members, "--initial-cluster-token", "bench",
                "--quota-backend-bytes", str(8 << 30),
                "--logger", "zap", "--log-level", "warn"]

    def post(self, node, path, body, timeout=2):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[node], timeout=timeout)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise ReplyError(text.decode(errors="replace"))
            return json.loads(text)
        finally:
            connection.close()

    def put(self, node, key, value, timeout=2):
        encode = lambda text: base64.b64encode(text.encode()).decode()
        return self.post(node, "/v3/kv/put", {"key": encode(key), "value": encode(value)}, timeout)

    def leader(self):
        leading = None
        for node in self.processes:
            try:
                status = self.post(node, "/v3/maintenance/status", {})
            except (OSError, ReplyError, http.client.HTTPException, ValueError):
                return None
            if status.get("leader", "0") == "0":
                return None
            if status["leader"] == status["header"]["member_id"]:
                leading = node
        return leading
