"""One server process, its disk, and what is expected of it."""
import asyncio
import errno
import os
import shutil
import signal
import subprocess
import time

from resp import BROKEN, ask

# A store that cannot be used any longer (src/base/fatal.c), one that cannot be opened.
DISK_FAILED, NOT_STARTED = 70, 1
DISK_MB = 512
LAST_WORDS_S = 2  # a node that found its disk full ends within this

# Small, so that checkpoints, cuts of the log and sorted files happen all the time.  The log is kept for
# some seconds: who joins, or was away for long, is sent the state.
SETTINGS = """
request-timeout 1500
loglevel notice
protected-mode no
rocksdb-cache-size 8mb
rocksdb-memtable-size 1mb
rocksdb-wal-size 16mb
checkpoint-size 64kb
log-retention-bytes 1mb
log-keep-entries 500
"""


def hanging_disk(directory):
    """The library that lets a disk hang, preloaded into every node."""
    library = os.path.join(directory, "hang.so")
    if not os.path.exists(library):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hang.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def own_disk(directory):
    """A small file system; False where that is not allowed."""
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MB, "none", directory],
                          stderr=subprocess.DEVNULL).returncode == 0


class Node:
    def __init__(self, number, binary, directory, network, problem, note, told):
        self.number, self.binary, self.network = number, binary, network
        self.problem, self.note, self.told = problem, note, told
        self.address, self.peer = network.client_address(number), network.peer_address(number)
        self.log = os.path.join(directory, "node%d.log" % number)
        self.config = os.path.join(directory, "node%d.conf" % number)
        self.data = os.path.join(directory, "node%d" % number)
        os.makedirs(self.data)
        # The first keeps to the ordinary disk, whose syncs take their time.
        self.has_own_disk = number > 0 and network.private and own_disk(self.data)
        self.hang_file = {kind: os.path.join(directory, "node%d.hang-%s" % (number, kind))
                          for kind in ("writes", "reads")}
        # A sanitizer's library does not mind that another is preloaded.
        self.environment = dict(os.environ, LD_PRELOAD=hanging_disk(directory),
                                ASAN_OPTIONS="verify_asan_link_order=0",
                                HANG_FILE=self.hang_file["writes"],
                                HANG_READS_FILE=self.hang_file["reads"])
        self.process = None
        self.up = self.paused = self.full = self.expects_end = False
        self.room_since = 0
        self.joins = False
        self.lock = asyncio.Lock()  # of who ends or starts it
        self.write_config(network.founder_settings(number))

    def write_config(self, settings):
        with open(self.config, "w") as file:
            file.write("dir %s/data\n%s%s" % (self.data, settings, SETTINGS))

    def join(self, peers):
        """From now on it is one that was not there from the beginning."""
        self.joins = True
        self.write_config(self.network.joiner_settings(self.number, peers))

    # -- the process ---------------------------------------------------------------------------

    def start(self, expects_end=False):
        self.expects_end = expects_end
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.network.inside(self.number) + [self.binary, self.config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=self.environment)
        self.up = True
        self.paused = False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        """As a crash does."""
        self.up = False
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def pause(self):
        self.paused = True
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.paused = False
        self.signal(signal.SIGCONT)

    def ask_to_end(self):
        self.up = False
        self.resume()
        self.signal(signal.SIGTERM)

    def ended(self, seconds):
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def watch(self):
        """A node ends only when it is told to, when its disk is full, or when the others know another
        directory of that name."""
        if not self.up or self.running():
            return
        self.up = False
        status = self.process.returncode
        was_full = self.full or time.monotonic() - self.room_since < LAST_WORDS_S
        if self.expects_end and status == NOT_STARTED:
            self.note("node %d ended, as it should" % self.number)
        elif was_full and status in (DISK_FAILED, NOT_STARTED) and "space left" in self.last_words():
            self.note("node %d ended: its disk is full" % self.number)
        else:
            self.problem("node %d ended by itself, status %d: see %s"
                         % (self.number, status, self.log))

    # -- the disk ------------------------------------------------------------------------------

    def wipe(self):
        for entry in os.scandir(self.data):
            if entry.is_dir():
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        self.full = False

    def ballast(self):
        return os.path.join(self.data, "ballast")

    def fill(self):
        """All the room that there is now: the node takes from it, and gives back to it, meanwhile."""
        self.full = True
        with open(self.ballast(), "ab") as file:
            size = file.tell()
            for _ in range(20):
                space = os.statvfs(self.data)
                room = space.f_bavail * space.f_frsize
                if room == 0:
                    break
                try:
                    os.posix_fallocate(file.fileno(), size, room)
                    size += room
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def make_room(self):
        if self.full:
            self.room_since = time.monotonic()
        self.full = False
        if os.path.exists(self.ballast()):
            os.unlink(self.ballast())

    def hang(self, kind):
        """Writes or reads wait from now on, without an error."""
        open(self.hang_file[kind], "w").close()

    def unhang(self):
        for path in self.hang_file.values():
            if os.path.exists(path):
                os.unlink(path)

    # -- what it says ---------------------------------------------------------------------------

    async def raft(self):
        """The fields of INFO raft; {} if it does not answer."""
        try:
            text = (await ask(self.address, "INFO", "raft", timeout=0.5)).decode()
        except (*BROKEN, AttributeError):
            return {}
        fields = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
        self.told(fields)
        return fields

    def last_words(self):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-2:])

    def complaints(self):
        if self.process is None:
            return []
        with open(self.log, errors="replace") as file:
            return [line.strip() for line in file
                    if "Sanitizer" in line or "runtime error" in line or "check failed" in line
                    or "invariant" in line]


def end_all(nodes):
    """SIGTERM; the nodes that did not end within ten seconds, which are killed."""
    late = []
    for node in nodes:
        node.ask_to_end()
    deadline = time.monotonic() + 10
    for node in nodes:
        if node.process and not node.ended(max(0.1, deadline - time.monotonic())):
            late.append(node.number)
            node.kill()
    return late
