"""The same share of a processor for each process: on a machine with few processors, nodes of a cluster take from
each other what each has of its own where it runs.  With a CPU group for each process, what the leader costs is
compared with what redis-server costs.  Needs the right to make CPU groups (cgroups, of either version)."""

import os

PERIOD_US = 20000
NAME = "redis-raft-bench"
ROOTS = ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct")


def place():
    """Where groups can be made, or None."""
    for root in ROOTS:
        if os.access(os.path.join(root, "cpu.cfs_quota_us"), os.F_OK) or os.path.isdir(root):
            return root if os.access(root, os.W_OK) else None
    try:
        with open("/sys/fs/cgroup/cgroup.subtree_control", encoding="ascii") as file:
            return "/sys/fs/cgroup" if "cpu" in file.read().split() and os.access("/sys/fs/cgroup", os.W_OK) else None
    except OSError:
        return None


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


class Budgets:
    """Used with `with`: the processes are put back behind it, and the groups are gone."""

    def __init__(self, pids, percent):
        self.root, self.pids, self.percent = place(), pids, percent
        self.groups = []

    def __enter__(self):
        try:
            for pid in self.pids:
                self.add(pid)
        except OSError:
            self.__exit__()
            raise
        return self

    def add(self, pid):
        group = os.path.join(self.root, f"{NAME}-{pid}")
        os.mkdir(group)
        self.groups.append((pid, group))
        quota = PERIOD_US * self.percent // 100
        if os.path.exists(os.path.join(group, "cpu.max")):
            write(os.path.join(group, "cpu.max"), f"{quota} {PERIOD_US}")
        else:
            write(os.path.join(group, "cpu.cfs_period_us"), PERIOD_US)
            write(os.path.join(group, "cpu.cfs_quota_us"), quota)
        write(os.path.join(group, "cgroup.procs"), pid)

    def __exit__(self, *_):
        for pid, group in self.groups:
            try:
                write(os.path.join(self.root, "cgroup.procs"), pid)
            except OSError:
                pass  # it has ended
            os.rmdir(group)
        self.groups = []
