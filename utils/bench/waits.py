"""Says of each answer that was slow what was in its way: disk.c tells when a node was in a call to
the disk, turns.c how long a turn of its loop took, and by how much of its own processor's time.

A SET waits until a majority of the nodes that keep up has synced it, so the disk is in its way for
as long as the last of the quickest majority's log writers was in a call to it; nobody's sync is in
the way of a GET.  The loop's own reads and writes hold up both, and so do waits for a processor, of
the leader's loop, of the log writers and of the probe: on a busy machine they are most of it."""

import os
import subprocess

SLOW_MS = 20
LOG_WRITER, LOOP = "log-writer", "loop"


def overlap_ms(spans, began, ended):
    """Of those spans together; all in microseconds."""
    total, at = 0, began
    for first, last in sorted(spans):
        first, last = max(first, at), min(last, ended)
        if last > first:
            total += last - first
            at = last
    return total / 1000


class Instruments:
    """Preloaded into each node."""

    def __init__(self, directory):
        self.directory = directory
        here = os.path.dirname(os.path.abspath(__file__))
        self.libraries = [os.path.join(directory, f"{name}.so") for name in ("disk", "turns")]
        for name, library in zip(("disk", "turns"), self.libraries):
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library,
                            os.path.join(here, f"{name}.c"), "-ldl"], check=True)

    def file(self, node, name):
        return os.path.join(self.directory, f"{name}.{node}")

    def environment(self, node):
        return {"LD_PRELOAD": ":".join(self.libraries), "DISK_FILE": self.file(node, "disk"),
                "TURNS_FILE": self.file(node, "turns"), "TURNS_MS": "1"}

    def lines(self, node, name):
        try:
            with open(self.file(node, name), encoding="ascii") as lines:
                return [line.split() for line in lines]
        except FileNotFoundError:
            return []

    def forget(self, nodes):
        """Only what comes from now on counts."""
        for node in nodes:
            for name in ("disk", "turns"):
                with open(self.file(node, name), "w", encoding="ascii"):
                    pass

    def longest_turn(self, node):
        """Milliseconds of its processor."""
        return max((int(line[2]) / 1000 for line in self.lines(node, "turns")), default=0)

    def calls(self, node, thread):
        return [(int(began), int(ended)) for name, call, began, ended in self.lines(node, "disk")
                if name == thread and call != "processor"]

    def processor(self, node, thread):
        return [(int(began), int(ended)) for name, call, began, ended in self.lines(node, "disk")
                if name == thread and call == "processor"]

    def turns(self, node, began, ended):
        """The longest turn then: ms of the wall's clock, and of the processor."""
        turns = [(int(wall) / 1000, int(cpu) / 1000) for end_ms, wall, cpu, _ in self.lines(node, "turns")
                 if int(end_ms) * 1000 >= began and int(end_ms) * 1000 - int(wall) <= ended]
        return max(turns, default=(0, 0))

    def explain(self, slow, leader, nodes, majority):
        """`slow`: answers, as in beside.Found; `nodes`: those that keep up.  Prints each, and returns
        how many took SLOW_MS longer than disk or waits for a processor were in their way: what was at
        the same time counts once."""
        syncs = {node: self.calls(node, LOG_WRITER) for node in nodes}
        writers = {node: syncs[node] + self.processor(node, LOG_WRITER) for node in nodes}
        calls = self.calls(leader, LOOP)
        loops = {node: self.calls(node, LOOP) + self.processor(node, LOOP) for node in nodes}
        others = {node: spans for node, spans in loops.items() if node != leader}
        unexplained = 0
        for name, began, ended, probe in slow:

            def last_of(spans, count):
                """Of the quickest `count`, the one that was held up longest."""
                return sorted(spans.values(), key=lambda own: overlap_ms(own, began, ended))[count - 1]

            def ms(spans):
                return f"{overlap_ms(spans, began, ended):.0f}"

            took, is_write = (ended - began) / 1000, name == "SET"
            written, synced = (last_of(writers, majority), last_of(syncs, majority)) if is_write else ([], [])
            other = last_of(others, majority - 1) if majority > 1 else []
            wall, cpu = self.turns(leader, began, ended)
            left = took - max(overlap_ms(loops[leader] + other + written, began, ended), probe)
            unexplained += left > SLOW_MS
            print(f"    {name} {took:6.1f} ms: log writers {ms(written)}, of that syncs {ms(synced)}; loops, leader's"
                  f" {ms(loops[leader])}, of that disk {ms(calls)}, a follower's {ms(other)}; probe {probe:.0f}; longest"
                  f" turn {wall:.0f}, of that processor {cpu:.0f}{'  NEITHER' if left > SLOW_MS else ''}", flush=True)
        return unexplained
