"""Backups of a cluster under faults.  One that is made is sound, has what its node had applied when it was
asked, and is of one moment: two keys that are always written together are the same in what is restored."""
import asyncio
import os
import re
import shutil

from resp import BROKEN, ErrorReply, ask

MAKE_S = 20
START_S = 15
PAIR = ("pair:a", "pair:b")


async def write_pairs(addresses):
    """For ever: both at once."""
    number = 0
    while True:
        number += 1
        try:
            await ask(addresses[number % len(addresses)], "MSET", PAIR[0], number, PAIR[1], number, timeout=1)
        except BROKEN:
            pass
        await asyncio.sleep(0.02)


class Backups:
    def __init__(self, options, directory, nemesis):
        self.options, self.nemesis = options, nemesis
        self.problem = nemesis.problem
        self.ctl = os.path.join(os.path.dirname(options.binary), "redis-raft-ctl")
        self.file = os.path.join(directory, "backup")
        self.store = os.path.join(directory, "restored")
        self.good = 0

    async def run(self, *words):
        """Exit status and output; status None if it takes too long."""
        process = await asyncio.create_subprocess_exec(
            self.ctl, *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        try:
            output = (await asyncio.wait_for(process.communicate(), MAKE_S * self.options.slow))[0]
        except asyncio.TimeoutError:
            return None, "it does not end"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, output.decode(errors="replace")

    async def make(self, node):
        """The node may die meanwhile: then there is no file."""
        self.nemesis.happens("backup", "of node %d" % node.number)
        self.clear()
        before = int((await node.raft()).get("raft_last_applied_index", 0))
        status, output = await self.run("--cluster", "%s:%d" % node.address, "backup", self.file)
        if status == 0:
            await self.check(before)
        elif os.path.exists(self.file):
            self.problem("a backup failed (%s), but there is a file: %s" % (status, output))
        else:
            self.nemesis.note("no backup: %s" % output.strip())
        self.clear()

    def clear(self):
        shutil.rmtree(self.store, ignore_errors=True)
        if os.path.exists(self.file):
            os.unlink(self.file)

    async def check(self, before):
        status, output = await self.run("verify", self.file)
        position = re.search(r"^position +entry (\d+) ", output, re.M)
        if status != 0 or not position:
            self.problem("a backup is not sound (%s): %s" % (status, output))
            return
        if int(position.group(1)) < before:
            self.problem("a backup is of %s, but %d was applied before" % (position.group(1), before))
        status, output = await self.run("restore", self.file, "--dir", self.store)
        if status != 0:
            self.problem("a backup cannot be restored (%s): %s" % (status, output))
            return
        await self.look()

    async def look(self):
        """At the restored one, which is a cluster of its own."""
        port = self.nemesis.network.restored_port()
        log_path = self.store + ".log"
        with open(log_path, "ab") as log:
            process = await asyncio.create_subprocess_exec(
                self.options.binary, "--dir", self.store, "--port", str(port), "--bind", "127.0.0.1",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            pair = [await self.get(port, key) for key in PAIR]
            if None in pair:
                self.problem("what was restored does not serve: see %s" % log_path)
            elif pair[0] != pair[1]:
                self.problem("what was written at once is apart in a backup: %s" % pair)
            else:
                self.good += 1
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def get(self, port, key):
        """b"" if there is none; None if no answer comes."""
        for _ in range(int(START_S * self.options.slow * 10)):
            try:
                reply = await ask(("127.0.0.1", port), "GET", key)
                if not isinstance(reply, ErrorReply):
                    return reply or b""
            except BROKEN:
                pass
            await asyncio.sleep(0.1)
        return None
