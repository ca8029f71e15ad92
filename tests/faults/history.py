"""What clients saw, in files for build/linear, and what it says of them.

Keys live for some seconds, then others take their place, so that each history stays short; all keys of
one such epoch stand in one file.  A file is judged as soon as its epoch is over, so that a run ends soon
after something went wrong, and once more with what was read at the end of the run."""
import asyncio
import os
import time
from collections import Counter

from resp import ErrorReply

EPOCH_S = 6
LIST_S = 2  # a list is read whole, so it is kept short
KEYS_OF_A_KIND = 2
JUDGE_S = 120


def word(value):
    """As history.c of tests/linear reads it."""
    text = value.decode("latin1") if isinstance(value, bytes) else str(value)
    if text and all("!" <= c <= "~" and c not in '"\\' for c in text) and text != "->":
        return text
    return quoted(text.encode("latin1"))


def quoted(value):
    return '"%s"' % "".join(chr(c) if " " <= chr(c) <= "~" and chr(c) not in '"\\' else "\\x%02x" % c
                            for c in value)


def reply_text(reply):
    if reply is None:
        return "nil"
    if isinstance(reply, ErrorReply):
        return "-" + reply
    if isinstance(reply, bytes):
        return quoted(reply)
    return ":%d" % reply if isinstance(reply, int) else "+" + reply


class Epoch:
    def __init__(self):
        self.lines = []
        self.under_way = 0
        self.keys = set()
        self.judged = self.impossible = False


class History:
    def __init__(self, directory, linear, problem):
        self.directory, self.linear, self.problem = directory, linear, problem
        self.began = time.monotonic_ns()
        self.epochs = {}
        self.totals = Counter()
        self.commands = Counter()
        self.judged = 0
        self.lines = 0
        os.makedirs(directory)

    def now(self):
        """Microseconds since the run began."""
        return (time.monotonic_ns() - self.began) // 1000

    def key(self, kind, rng):
        seconds = self.now() // 1000000
        epoch = seconds // EPOCH_S
        part = seconds // LIST_S if kind == "list" else epoch
        key = "%s:%d:%d:%d" % (kind, epoch, part, rng.randrange(KEYS_OF_A_KIND))
        self.epoch_of(key).keys.add(key)
        return key

    def keys(self):
        return sorted(key for epoch in self.epochs.values() for key in epoch.keys)

    def epoch_of(self, key):
        return self.epochs.setdefault(int(key.split(":")[1]), Epoch())

    def begin(self, key):
        self.epoch_of(key).under_way += 1
        return self.now()

    def end(self, outcome, key):
        self.totals[outcome] += 1
        self.epoch_of(key).under_way -= 1

    def answered(self, client, called, words, key, reply):
        once = words[0] == "ONCE"
        self.commands[words[3] if once else words[0]] += 1
        self.totals["of them by ONCE"] += once
        self.note(client, called, self.now(), words, key, reply_text(reply))
        self.end("answered", key)

    def unknown(self, client, called, words, key, changes):
        """A read that was not answered says nothing."""
        if changes:
            self.note(client, called, "-", words, key, "?")
        self.end("unknown" if changes else "reads lost", key)

    def not_done(self, key):
        self.end("not done", key)

    def note(self, client, called, returned, words, key, reply):
        self.epoch_of(key).lines.append("%d %s %s %s -> %s\n" % (
            client, called, returned, " ".join(map(word, words)), reply))

    # -- the verdict -------------------------------------------------------------------------

    def path(self, number):
        return os.path.join(self.directory, "%06d.txt" % number)

    async def judge(self, number):
        epoch, path = self.epochs[number], self.path(number)
        page = path.replace(".txt", ".html")
        epoch.judged = True
        with open(path, "w") as file:
            file.writelines(epoch.lines)
        process = await asyncio.create_subprocess_exec(
            "nice", self.linear, "--html", page, path, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        try:
            output = (await asyncio.wait_for(process.communicate(), JUDGE_S))[0].decode("latin1")
        except asyncio.TimeoutError:
            process.kill()
            output = "it was not judged within %d s" % JUDGE_S
        self.judged += 1
        self.lines += len(epoch.lines)
        if process.returncode == 0:
            os.unlink(path)
            return
        epoch.impossible = True
        self.problem("the history in %s:\n%s" % (path, output))

    async def judge_what_is_over(self):
        """For ever, beside the run."""
        while True:
            await asyncio.sleep(1)
            current = self.now() // 1000000 // EPOCH_S
            for number, epoch in list(self.epochs.items()):
                # What is still under way is noted when it ends; a second's grace for those that chose
                # a key just before the epoch ended.
                if not epoch.judged and epoch.under_way == 0 and number < current - 1:
                    await self.judge(number)

    async def judge_all(self):
        self.judged = self.lines = 0
        for number, epoch in sorted(self.epochs.items()):
            if not epoch.impossible:
                await self.judge(number)
