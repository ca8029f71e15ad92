"""redis-cli as a program among others: one command each, RESP3 and JSON, scripts on its standard
input, mass insertion by --pipe, and while a node dies.

See `run` for the words that are exchanged with the runner.
"""
import json
import os
import subprocess
import sys
import time

PORTS = sys.argv[1:]
ID = "redis-cli-%d-" % os.getpid()
# What concerns the connection is of no use in a process of its own: see script().
STATE = {("CLIENT", "SETNAME"), ("CLIENT", "GETNAME"), ("CLIENT", "SETINFO"), ("CLIENT", "INFO"),
         ("CLIENT", "LIST")}


def report(name, problem):
    text = "not ok %s: %s" % (name, problem) if problem else "ok %s" % name
    print(" ".join(text.split()), flush=True)


def cli(port, *arguments, stdin=b""):
    run = subprocess.run(["redis-cli", "-p", port, *arguments], input=stdin, capture_output=True,
                         timeout=60, check=False)
    return run.stdout.decode("latin1").rstrip("\n"), run.stderr.decode("latin1").strip()


def differs(expected, text):
    """Of the output of --json: None or what is wrong."""
    if text.startswith('error:"'):
        actual = {"error": text[7:-1]}
    else:
        try:
            actual = json.loads(text)
        except ValueError:
            actual = text  # verbatim strings come as they are
    if isinstance(expected, dict):
        if "error" in expected:
            good = isinstance(actual, dict) and str(actual.get("error")).startswith(
                expected["error"])
        elif "like" in expected:
            good = expected["like"] in text
        elif "map" in expected:
            good = actual == expected["map"]
        else:
            good = isinstance(actual, {"string": str, "integer": int, "array": list,
                                       "map": dict}[expected["type"]]) and actual not in ({}, [])
    else:
        good = actual == expected
    return None if good else "expected %r, got %.200s" % (expected, text)


def table(port, name, *flags):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "commands.json")) as file:
        rows = json.load(file)
    problems = []
    for words, expected in rows:
        if tuple(words[:2]) in STATE:
            continue
        words = [w.replace("$ID", ID + name) for w in words]
        text, errors = cli(port, *flags, *words)
        problem = errors or differs(expected, text)
        if problem:
            problems.append("%s: %s" % (" ".join(words), problem))
    report("every command, %s" % name, "; ".join(problems))


def script(port, name):
    """Many commands on one connection, from standard input, with redis-cli's own quoting."""
    lines = ["CLIENT SETNAME script", "CLIENT GETNAME", "FLUSHALL", r'SET "a key" "x\ty\x00"',
             "STRLEN 'a key'", "INCR n", "INCR n", "GET none", "MGET n none 'a key'", "NOSUCH", "PING"]
    text, errors = cli(port, "--no-raw", stdin="\n".join(lines).encode() + b"\n")
    wanted = ["OK", '"script"', "OK", "OK", "(integer) 4", "(integer) 1", "(integer) 2", "(nil)",
              '1) "2"', "2) (nil)", r'3) "x\ty\x00"',
              "(error) ERR unknown command 'NOSUCH', with args beginning with: ", "PONG"]
    report("a script on standard input, %s" % name,
           None if (text.split("\n"), errors) == (wanted, "") else "%r %s" % (text, errors))
    text, errors = cli(port, "-x", "SET", "from-stdin", stdin=b"\x00\xff\r\nlast")
    report("-x, %s" % name, errors or (None if cli(port, "STRLEN", "from-stdin")[0] == "8" else text))
    # (--no-raw: RESP3's types show)
    text, _ = cli(port, "-3", "--no-raw", "CONFIG", "GET", "maxmemory-policy")
    report("-3, %s" % name, None if text == '1# "maxmemory-policy" => "noeviction"' else text)


def mass_insertion(port, name, count):
    commands = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\nmass:%d\r\n$5\r\nvalue\r\n" % (len(b"mass:%d" % i), i)
                        for i in range(count))
    text, errors = cli(port, "--pipe", stdin=commands)
    good = "errors: 0, replies: %d" % count in text
    size = sum(1 for _ in cli(port, "--scan", "--pattern", "mass:*")[0].split("\n"))
    report("--pipe of %d commands and --scan, %s" % (count, name),
           None if good and size == count else "%s %s, %d keys" % (text, errors, size))


def midway():
    """A node dies and comes back: see `run`."""
    cli(PORTS[0], "SET", "survivor", "before")
    print("midway", flush=True)
    os.set_blocking(0, False)
    acked = unknown = refused = 0
    while not sys.stdin.readline():
        text, errors = cli(PORTS[1], "INCR", "loop")
        if text.isdigit():
            acked += 1
        elif "was not executed" in text:
            refused += 1
        elif "may or may not have been executed" in text:
            unknown += 1
        else:
            report("INCR while a node dies", text + errors)
            return
    total = int(cli(PORTS[1], "GET", "loop")[0])
    report("INCR while a node dies: %d acknowledged, %d unknown, %d not done" %
           (acked, unknown, refused),
           None if acked <= total <= acked + unknown and acked > 10 else "the counter is %d" % total)
    deadline = time.time() + 15
    text = ""
    while text != "before" and time.time() < deadline:
        text, errors = cli(PORTS[0], "GET", "survivor")
        time.sleep(0.05)
    report("the node that died serves again", None if text == "before" else text + errors)


def main():
    table(PORTS[0], "leader, --json", "--json")
    table(PORTS[1], "follower, --json", "--json")
    for port, name in ((PORTS[0], "leader"), (PORTS[1], "follower")):
        script(port, name)
        mass_insertion(port, name, 20000)
    midway()
    table(PORTS[0], "restarted node, --json", "--json")
    print("done", flush=True)


main()
