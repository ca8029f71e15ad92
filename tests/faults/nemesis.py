"""What goes wrong, in rounds: for some seconds one hand cuts the network, another one kills, pauses, and fills
and hangs disks, and a third one changes the members (members.py), all by the seed; then everything heals, and
the cluster has to make progress through every node within a bounded time.

`nodes` are those that are members now, and the faults are for them.  Whoever ends or starts a node holds
its lock; the hand that waited for it looks whether the node is still a member."""
import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter

from resp import BROKEN, ErrorReply, ask

ROUND_S = 12
CALM_S = 1.5
IDLE_S = 10  # TCP gives up a connection before
PROGRESS_S = 20
DISK_S = 30  # a node whose disk is full has ended by then


def deck(rng, faults):
    """All of them in any order, then again: a short run meets each kind as well."""
    while True:
        yield from rng.sample(faults, len(faults))


class Nemesis:
    def __init__(self, nodes, network, options, problem, note, observed):
        self.nodes, self.network, self.observed = nodes, network, observed
        self.rng = random.Random("%s/nemesis" % options.seed)
        self.network_rng = random.Random("%s/network" % options.seed)
        self.progress_s = PROGRESS_S * options.slow
        self.problem, self.note = problem, note
        self.counts = Counter()
        self.slowest_recovery = 0.0
        self.members = None
        self.make_decks()

    # -- whom --------------------------------------------------------------------------------------

    async def leader(self):
        """The one that leads in the highest term, or None."""
        nodes = list(self.nodes)
        states = await asyncio.gather(*[node.raft() for node in nodes])
        leading = [(int(state["raft_current_term"]), node) for node, state in zip(nodes, states)
                   if state.get("raft_role") == "leader"]
        return max(leading, key=lambda pair: pair[0])[1] if leading else None

    async def victim(self, rng):
        """Mostly the leader."""
        node = rng.choice(self.nodes)
        wants_leader = rng.random() < 0.6
        leader = await self.leader()
        return leader if wants_leader and leader else node

    def others(self, node):
        return [other.number for other in self.nodes if other is not node]

    @contextlib.asynccontextmanager
    async def hold(self, nodes):
        """Gives those of them that are members when all of them are ours."""
        async with contextlib.AsyncExitStack() as stack:
            for node in sorted(nodes, key=lambda node: node.number):
                await stack.enter_async_context(node.lock)
            yield [node for node in nodes if node in self.nodes]

    def happens(self, kind, text):
        self.counts[kind] += 1
        self.note("%s: %s" % (kind, text))

    # -- processes and disks ------------------------------------------------------------------------

    async def kill(self):
        async with self.hold([await self.victim(self.rng)]) as held:
            for node in held:
                self.happens("kill", "node %d" % node.number)
                node.kill()
                await asyncio.sleep(self.rng.uniform(0, 3))
                node.start()

    async def kill_many(self):
        """A majority or all of them at once, again in any order."""
        count = self.rng.randint(len(self.nodes) // 2 + 1, len(self.nodes))
        async with self.hold(self.rng.sample(self.nodes, count)) as chosen:
            self.happens("kill many", "nodes %s" % [node.number for node in chosen])
            for node in chosen:
                node.kill()
            await asyncio.sleep(self.rng.uniform(0, 1))
            for node in chosen:
                node.start()
                await asyncio.sleep(self.rng.uniform(0, 0.3))

    async def restart(self):
        async with self.hold([await self.victim(self.rng)]) as held:
            for node in held:
                self.happens("restart", "node %d" % node.number)
                await self.end_gently(node)
                node.start()

    async def end_gently(self, node):
        node.ask_to_end()
        for _ in range(100):
            if not node.running():
                return
            await asyncio.sleep(0.1)
        self.problem("node %d did not end within 10 s of SIGTERM" % node.number)
        node.kill()

    async def pause(self):
        async with self.hold([await self.victim(self.rng)]) as held:
            for node in held:
                seconds = self.rng.choice([0.2, 0.7, 1.5, 4])
                self.happens("pause", "node %d for %.1f s" % (node.number, seconds))
                node.pause()
                await asyncio.sleep(seconds)
                node.resume()

    async def pause_cut_off(self):
        """A leader that sleeps through an election, and then does not hear of it."""
        async with self.hold([await self.leader() or self.rng.choice(self.nodes)]) as held:
            for node in held:
                await self.sleep_and_miss(node)

    async def sleep_and_miss(self, node):
        self.happens("pause cut off", "node %d" % node.number)
        self.network.cut([(other, node.number) for other in self.others(node)]
                         + [(node.number, other) for other in self.others(node)])
        node.pause()
        await asyncio.sleep(self.rng.uniform(1, 2.5))
        node.resume()
        await asyncio.sleep(self.rng.uniform(0.2, 1.5))
        self.network.heal()

    async def fill_disk(self):
        small = [node for node in self.nodes if node.has_own_disk]
        leader = await self.leader()
        if small:
            leads = leader in small and self.rng.random() < 0.6
            async with self.hold([leader if leads else self.rng.choice(small)]) as held:
                for node in held:
                    await self.fill_and_make_room(node)

    async def fill_and_make_room(self, node):
        self.happens("full disk", "node %d" % node.number)
        deadline = time.monotonic() + DISK_S
        # One that is taken out meanwhile writes nothing any more.
        while node.up and node in self.nodes and time.monotonic() < deadline:
            node.fill()
            await asyncio.sleep(0.05)
        if node.up and node not in self.nodes:
            self.note("node %d was taken out before its full disk mattered" % node.number)
        elif node.up:
            self.problem("node %d still runs %d s after its disk was full" % (node.number, DISK_S))
        else:
            self.happens("start on a full disk", "node %d" % node.number)
            node.start()
            await asyncio.sleep(self.rng.uniform(0.3, 1))
        node.make_room()
        if not node.running():
            node.start()

    async def hang_disk(self):
        """No error, no answer: of writes, when a leader hands over if it lasts; of reads, when the loop
        itself waits once it has to read, and is like one that sleeps."""
        async with self.hold([await self.victim(self.rng)]) as held:
            for node in held:
                kind = self.rng.choice(["writes", "writes", "reads"])
                seconds = self.rng.choice([0.3, 1.5, 4, 8])
                self.happens("hanging disk", "%s of node %d for %.1f s" % (kind, node.number, seconds))
                node.hang(kind)
                await asyncio.sleep(seconds)
                node.unhang()

    # -- the network --------------------------------------------------------------------------------

    def cut(self, kind, pairs):
        self.happens(kind, "from-to %s" % " ".join("%d-%d" % pair for pair in sorted(set(pairs))))
        self.network.cut(pairs)

    def both_ways(self, left, right):
        return [(a, b) for a in left for b in right] + [(b, a) for a in left for b in right]

    async def cut_whole(self, rng):
        """One node from the rest, or two halves."""
        node = await self.victim(rng)
        side = [node.number] + rng.sample(self.others(node), rng.randint(0, len(self.nodes) // 2))
        rest = [number for number in self.network.nodes if number not in side]
        self.cut("cut whole", self.both_ways(side, rest))

    async def cut_one_way(self, rng):
        node = await self.victim(rng)
        others = self.others(node)
        pairs = [(node.number, other) for other in others]
        if rng.random() < 0.5:
            pairs = [(b, a) for a, b in pairs]
        # From all, or from one: then the leader goes on, and its answers to that one are lost.
        self.cut("cut one way", pairs if rng.random() < 0.6 else rng.sample(pairs, 1))

    async def cut_bridge(self, rng):
        """Two sides that both see one node."""
        numbers = [node.number for node in self.nodes]
        rng.shuffle(numbers)
        half = len(numbers) // 2
        self.cut("cut bridge", self.both_ways(numbers[:half], numbers[half + 1:]))

    async def cut_some(self, rng):
        numbers = [node.number for node in self.nodes]
        pairs = [(a, b) for a in numbers for b in numbers if a != b and rng.random() < 0.35]
        if pairs:
            self.cut("cut some", pairs)

    async def lose(self, rng):
        percent = rng.choice([2, 10, 30])
        self.happens("loss", "%d percent" % percent)
        self.network.lose(percent)

    async def cut_idle(self):
        """Before there are clients: a cut that lasts until one side has given up a connection on which
        nothing was under way, so that the other side did not notice.  After it, every node must serve."""
        if not await self.progress():
            return False
        leader = await self.leader() or self.nodes[0]
        await asyncio.sleep(1)  # what was under way has arrived
        self.cut("cut idle", self.both_ways([leader.number], self.others(leader)[:1]))
        await asyncio.sleep(IDLE_S)
        self.network.heal()
        return await self.progress()

    # -- rounds ---------------------------------------------------------------------------------------

    def make_decks(self):
        processes = [self.kill, self.kill, self.kill_many, self.restart, self.pause, self.pause,
                     self.pause_cut_off, self.hang_disk, self.hang_disk]
        networks = [self.cut_whole, self.cut_whole, self.cut_one_way, self.cut_one_way,
                    self.cut_bridge, self.cut_some]
        self.has_disks = any(node.has_own_disk for node in self.nodes)
        if self.has_disks:
            processes.append(self.fill_disk)
        if self.network.lossy:
            networks.append(self.lose)
        self.process_deck = deck(self.rng, processes)
        self.network_deck = deck(self.network_rng, networks)

    async def process_hand(self, end):
        while time.monotonic() < end:
            await next(self.process_deck)()
            await asyncio.sleep(self.rng.uniform(0.3, 1.5))

    async def network_hand(self, end):
        rng = self.network_rng
        while time.monotonic() < end:
            await asyncio.sleep(rng.uniform(0.2, 1.5))
            await next(self.network_deck)(rng)
            await asyncio.sleep(rng.uniform(0.5, 3))
            self.network.heal()

    async def member_hand(self, end):
        while time.monotonic() < end:
            await next(self.member_deck)()
            await asyncio.sleep(self.members.rng.uniform(0.1, 0.8))

    def heal(self):
        self.network.heal()
        for node in self.nodes:
            node.make_room()
            node.unhang()
            node.resume()
            if not node.running():
                node.start()

    async def progress(self):
        """Everything is whole: a write through every node must succeed in time.  False: it did not."""
        began = time.monotonic()
        for node in self.nodes:
            while True:
                try:
                    reply = await ask(node.address, "SET", "progress", node.number, timeout=3)
                except BROKEN as error:
                    reply = error
                if not isinstance(reply, (ErrorReply, Exception)):
                    break
                if time.monotonic() - began > self.progress_s:
                    self.problem("no progress through node %d within %g s of the healing: %r"
                                 % (node.number, self.progress_s, reply))
                    return False
                await asyncio.sleep(0.1)
        took = time.monotonic() - began
        self.slowest_recovery = max(self.slowest_recovery, took)
        self.note("healed: progress after %.1f s" % took)
        return True

    async def run(self, end):
        process, network, member = self.process_hand, self.network_hand, self.member_hand
        self.member_deck = itertools.chain(
            [self.members.replace], deck(self.members.rng, self.members.changes_of_members()))
        # Fewer now and then: there its faults are not lost among the others.
        rounds = [[process, network, member], [process, member], [process, network], [network, member],
                  [process], [network], [member]]
        number = 0
        while time.monotonic() < end:
            stop = min(end, time.monotonic() + ROUND_S)
            await asyncio.gather(*[hand(stop) for hand in rounds[number % len(rounds)]])
            number += 1
            self.heal()
            await self.progress()
            await self.members.settle()
            await asyncio.sleep(CALM_S)
