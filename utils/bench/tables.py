"""The tables of utils/bench/run."""

import json
import os

from cells import ALONE, BEFORE, DISTURBED_CPUS, VALUE_SIZE

SLOW_DISK_US = 1000  # a probe above this is told in the table


def find(cells, tool, operation, load, system, follower=False, equal=False):
    for cell in cells:
        if (cell.tool, cell.operation, cell.load.name, cell.system.name, cell.follower, cell.equal) == \
                (tool, operation, load, system, follower, equal) and cell.results:
            return cell
    return None


def number(value, form="{:,.0f}"):
    return "-" if value is None else form.format(value)


def rate(cell):
    return number(cell.median("per_second") if cell else None)


def latency(cell):
    if not cell:
        return "-"
    return f"{number(cell.median('p50_ms'), '{:.2f}')} / {number(cell.median('p99_ms'), '{:.2f}')}"


def cost(cell):
    return number(cell.median("cpu_us") if cell else None, "{:.1f}")


def ratio_of(ours, theirs):
    if not ours or not theirs or not theirs.median("per_second"):
        return None
    return ours.median("per_second") / theirs.median("per_second")


def ratio(ours, theirs):
    return number(ratio_of(ours, theirs), "{:.2f}")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def rows_of(cells, tool):
    """What was measured with it, an (operation, load) each, in the order in which it was."""
    return list(dict.fromkeys((operation, cell.load.name) for operation in ("SET", "GET") for cell in cells
                              if cell.tool == tool and cell.operation == operation))


def redis_benchmark_table(cells):
    rows = []
    tool = "redis-benchmark"
    for operation, load in rows_of(cells, tool):
        ours = find(cells, tool, operation, load, "redis-raft")
        redis = find(cells, tool, operation, load, "redis-server")
        alone = find(cells, tool, operation, load, ALONE)
        follower = find(cells, tool, operation, load, "redis-raft", True)
        written = ours.median("written") if ours and operation == "SET" else None
        rows.append([f"{operation} {load}", rate(ours), rate(redis), ratio(ours, redis),
                     latency(ours), latency(redis), cost(ours), cost(redis),
                     rate(follower), latency(follower), ratio(alone, redis), number(written)])
    return table(["", "redis-raft, 3 nodes /s", "redis-server, 1 node /s", "ratio",
                  "ours p50 / p99 ms", "redis p50 / p99 ms", "ours CPU us", "redis CPU us",
                  "through a follower /s", "p50 / p99 ms", "ratio of 1 node of ours",
                  "bytes to disk a SET and node"], rows)


def equal_table(cells):
    rows = []
    for operation, load in rows_of([c for c in cells if c.equal], "redis-benchmark"):
        ours = find(cells, "redis-benchmark", operation, load, "redis-raft", equal=True)
        redis = find(cells, "redis-benchmark", operation, load, "redis-server", equal=True)
        rows.append([f"{operation} {load}", rate(ours), rate(redis), ratio(ours, redis),
                     latency(ours), latency(redis)])
    return table(["", "redis-raft, 3 nodes /s", "redis-server /s", "ratio", "ours p50 / p99 ms",
                  "redis p50 / p99 ms"], rows)


def own_table(found):
    """Rows of own_row()."""
    return table(["", "", "SETs /s", "p50 ms", "p99", "p99.9", "max"],
                 [[f"SET {row['load']}", row["system"], number(row["per_second"])] +
                  [f"{row[name]:.2f}" for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")]
                  for row in found])


def large_table(found):
    rows = []
    for row in found:
        payload = row["per_second"] * row["size"] / 1e6
        rows.append([f"SET {row['load']}", row["system"], f"{payload:.0f}", f"{payload * row['nodes']:.0f}",
                     f"{payload * row['nodes'] / row['disk_mb']:.2f}", f"{row['p99_ms']:.0f}",
                     str(row["elections"]) if row["system"] == "redis-raft" else "-"])
    return table(["", "", "MB/s", "of all nodes", "of the disk's", "p99 ms", "elections"], rows)


def redis_raft_bench_table(cells):
    rows = []
    tool = "redis-raft-bench"
    for operation, load in rows_of([c for c in cells if c.system.name != "etcd"], tool):
        ours = find(cells, tool, operation, load, "redis-raft")
        redis = find(cells, tool, operation, load, "redis-server")
        etcd_load = "c800" if ours and ours.load.pipeline > 1 else load
        etcd = find(cells, tool, operation, etcd_load, "etcd")
        label = f"{operation} {load}" + (f" (etcd {etcd_load})" if etcd_load != load else "")
        rows.append([label, rate(ours), rate(redis), rate(etcd), ratio(ours, redis),
                     ratio(ours, etcd), latency(ours), latency(etcd), cost(ours), cost(redis),
                     cost(etcd)])
    return table(["", "redis-raft /s", "redis-server /s", "etcd, 3 nodes /s", "to redis",
                  "to etcd", "ours p50 / p99 ms", "etcd p50 / p99 ms", "ours CPU us",
                  "redis CPU us", "etcd CPU us"], rows)


def before_table(cells):
    rows = []
    for ours in cells:
        before = find(cells, ours.tool, ours.operation, ours.load.name, BEFORE, ours.follower, ours.equal)
        if ours.system.name != "redis-raft" or not before:
            continue
        where = " (follower)" if ours.follower else ""
        rows.append([ours.tool, f"{ours.operation} {ours.load.name}{where}", rate(before),
                     rate(ours), ratio(ours, before), latency(before), latency(ours),
                     cost(before), cost(ours)])
    return table(["", "", "before /s", "now /s", "ratio", "before p50 / p99 ms",
                  "now p50 / p99 ms", "before CPU us", "now CPU us"], rows)


def bound_table(cells):
    """Whose CPU time filled the machine's: what is left was waiting for the disk."""
    rows = []
    for cell in cells:
        if cell.tool == "redis-benchmark" and cell.system.name == "redis-raft" and cell.results and \
                not cell.equal:
            servers, client = cell.median("servers_cpus"), cell.median("client_cpus")
            other = cell.median("other_cpus")
            idle = os.cpu_count() - servers - client - other
            where = " (follower)" if cell.follower else ""
            rows.append([f"{cell.operation} {cell.load.name}{where}", f"{servers:.2f}",
                         f"{client:.2f}", f"{other:.2f}", f"{max(0.0, idle):.2f}"])
    return table(["redis-raft", "servers", "redis-benchmark", "kernel and others", "idle"], rows)


# Operation and load; the least ratio to redis-server on the same box, and with equal budgets.
EXPECTED = [
    ("SET", "c1", 0.65, 0.65), ("SET", "c50", 0.75, 0.90), ("SET", "c200", 0.80, 0.95),
    ("SET", "c50 -P16", 0.85, 1.10), ("SET", "c50 1 KiB", 0.75, 0.85),
    ("GET", "c50", 1.0, 1.0), ("GET", "c200", 1.0, 1.0), ("GET", "c50 -P16", 1.0, 1.0),
]


def expectation(title, least, found, at_most=False):
    met = None if found is None else found <= least if at_most else found >= least
    return {"title": title, "least": least, "found": found, "met": met, "at_most": at_most}


def times(ours, theirs, field):
    if not ours or not theirs or not theirs.median(field):
        return None
    return ours.median(field) / theirs.median(field)


def expectations(cells, facts):
    tool = "redis-benchmark"
    result = []
    for operation, load, least, least_equal in EXPECTED:
        ours = find(cells, tool, operation, load, "redis-raft")
        redis = find(cells, tool, operation, load, "redis-server")
        what = f"{operation} {load}"
        result.append(expectation(f"{what}, ratio to redis-server", least, ratio_of(ours, redis)))
        result.append(expectation(f"{what}, its p99 to redis-server's", 2, times(ours, redis, "p99_ms"), True))
        equal = [find(cells, tool, operation, load, name, equal=True) for name in ("redis-raft", "redis-server")]
        result.append(expectation(f"{what}, ratio with equal budgets", least_equal, ratio_of(*equal)))
        if operation == "SET":
            alone = find(cells, tool, operation, load, ALONE)
            result.append(expectation(f"{what}, one node of ours", 1, ratio_of(alone, redis)))
    for operation in ("SET", "GET"):
        result.append(expectation(f"{operation} c50 through a follower, to the leader's", 0.9,
                                  ratio_of(find(cells, tool, operation, "c50", "redis-raft", True),
                                           find(cells, tool, operation, "c50", "redis-raft"))))
    ours = [row for row in facts.get("open", []) if row["system"] == "redis-raft"]
    result += [expectation(f"SET {row['load']} at half of that rate, p99.9 ms", 10, row["p999_ms"], True)
               for row in ours]
    ours = [row for row in facts.get("minute", []) if row["system"] == "redis-raft"]
    result += [expectation(f"SET {row['load']} for a minute, longest ms", 40, row["max_ms"], True)
               for row in ours]
    result.append(expectation("SET c50 to etcd (redis-raft-bench)", 3,
                              ratio_of(find(cells, "redis-raft-bench", "SET", "c50", "redis-raft"),
                                       find(cells, "redis-raft-bench", "SET", "c50", "etcd"))))
    return [e for e in result if e["found"] is not None]


def expectations_table(cells, facts):
    return table(["expected", "", "found", "met"],
                 [[e["title"], f"{'at most' if e['at_most'] else 'at least'} {e['least']:g}",
                   number(e["found"], "{:.2f}"), "yes" if e["met"] else "NO"]
                  for e in expectations(cells, facts)])


def write_table(path, cells, facts):
    host = facts["machine"]
    slow = [r["disk_us"] for c in cells for r in c.results if r["disk_us"] > SLOW_DISK_US]
    lines = [f"# Benchmark of {facts['date']}", "",
             f"{host['cpus']} CPUs ({host['cpu']}), {host['memory_gib']} GiB, Linux "
             f"{host['kernel']}, {facts['file_system']}; servers and load share the machine. "
             f"Values of {VALUE_SIZE} bytes where no other size is said, {facts['keys']:,} keys, medians of {facts['rounds']} "
             f"rounds of about {facts['seconds']:g} s each, all systems in turns. Every system "
             "syncs every write before it answers. CPU: microseconds per operation, all server "
             "processes together.", ""]
    for probe in facts["disk"]:
        lines.append(f"- disk in round {probe['round']}: a synced 4 KiB overwrite takes "
                     f"{probe['before_us']} us before, {probe['after_us']} us after")
    lines.append(f"- the disk was slow (above {SLOW_DISK_US} us) before {len(slow)} of "
                 f"{sum(len(c.results) for c in cells)} measurements")
    disturbed = sum(r["other_cpus"] > DISTURBED_CPUS for c in cells for r in c.results)
    lines.append(f"- others used more than {DISTURBED_CPUS:g} CPUs during {disturbed} measurements")
    lines.append("- CPUs used while nobody asks anything: " + ", ".join(
        f"{name} {value:.3f}" for name, value in facts["idle_cpus"].items()))
    if facts["idle_cpus"]["everything else on the machine"] > 0.1:
        lines.append("- **the machine was not quiet: the figures are lower than they should be, and "
                     "their ratios uncertain**")
    lines += ["", "## redis-benchmark", ""] + redis_benchmark_table(cells)
    if facts["equal_budget"]:
        lines += ["## Equal budgets", "",
                  f"Each process may use {facts['equal_budget']} % of a processor, as if the followers "
                  "took nothing of the leader's machine.", ""] + equal_table(cells)
    if facts.get("open"):
        lines += ["## Half of that rate, in an open loop", "",
                  "Requests are due at their times, answered or not; latencies run from there.", ""]
        lines += own_table(facts["open"])
    if facts.get("minute"):
        lines += ["## The longest answer of a minute", ""] + own_table(facts["minute"])
    if facts.get("large"):
        lines += ["## Large values", "",
                  f"Four connections. The disk takes {facts['large'][0]['disk_mb']:.0f} MB/s of one writer; "
                  "all nodes have the same.", ""] + large_table(facts["large"])
    if any(c.tool == "redis-raft-bench" for c in cells):
        lines += ["## redis-raft-bench, the same client for all", "",
                  "etcd is asked through its HTTP/JSON gateway, which costs it CPU time that a "
                  "gRPC client would not.", ""] + redis_raft_bench_table(cells)
    if any(c.system.name == BEFORE for c in cells):
        lines += ["## Before and now, in the same turns", ""] + before_table(cells)
    lines += ["## What the machine's CPUs did", ""] + bound_table(cells)
    lines += ["## Expectations", ""] + expectations_table(cells, facts)
    if facts["failures"]:
        lines += ["## Failures", ""] + [f"- {text}" for text in facts["failures"]]
    text = "\n".join(lines).rstrip() + "\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return text


def write_results(path, cells, facts):
    medians = ("per_second", "p50_ms", "p99_ms", "max_ms", "cpu_us", "servers_cpus",
               "client_cpus", "other_cpus", "disk_us", "written")
    rows = [{**cell.key(), **{name: cell.median(name) for name in medians},
             "rounds": cell.results} for cell in cells]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**facts, "expectations": expectations(cells, facts), "cells": rows}, file, indent=1)
