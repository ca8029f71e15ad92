"""A third hand, which changes the members while the others kill and cut: nodes join and are removed, are
replaced elsewhere, lose their disks, lose their vote and get it back, hand over the office; and backups are
made meanwhile.

A node that was removed or replaced runs on for a while, with clients: it must not count.  Only one disk
is lost at a time, and not before all that was lost earlier is a voter again: more is a majority lost."""
import asyncio
import random
import re
import time

from backups import Backups
from observed import is_committed, is_known, members
from resp import BROKEN, ErrorReply, ask

CHANGE_S = 60     # a change, with faults beside it, which end within a round
REFUSED_S = 4     # a node with an empty directory under an old id hears that it is not wanted
AGAIN_S = 0.15
LINGER_S = 2.5    # what is out runs on
ANSWERED_S = 5    # an answer is one if it is still the same then: the list is read beside it
MORE = 2          # nodes than there were at first

# What may be said while others kill and cut; anything else is an answer.
NOT_NOW = re.compile(r"TRYAGAIN|CLUSTERDOWN|TIMEOUT|ERR nobody who could lead|"
                     r"ERR \d+ of the \d+ voters that would be left")


class Members:
    def __init__(self, spots, nemesis, options, directory):
        self.spots, self.nemesis, self.options = spots, nemesis, options
        self.present, self.problem = nemesis.nodes, nemesis.problem
        self.observed = nemesis.observed
        self.first = len(self.present)
        self.addresses = [node.address for node in self.present]  # where clients go
        self.rng = random.Random("%s/members" % options.seed)
        self.patience_s = CHANGE_S * options.slow
        self.backups = Backups(options, directory, nemesis)
        self.learner = None  # one whose vote was taken
        self.changes = 0

    # -- what the list says ---------------------------------------------------------------------

    async def list(self):
        """The committed list of one that leads, by peer address; None if nobody is seen to lead."""
        leader = await self.nemesis.leader()
        fields = await leader.raft() if leader else {}
        if fields.get("raft_role") != "leader" or not is_committed(fields):
            return None
        return {member["peer"]: member for member in members(fields).values()}

    async def until(self, what, condition):
        """Waits for a list of which it is true, and returns the list; None if it takes too long."""
        deadline = time.monotonic() + self.patience_s
        while time.monotonic() < deadline:
            there = await self.list()
            if there is not None and condition(there):
                return there
            await asyncio.sleep(AGAIN_S)
        self.problem("not within %g s: %s; the list is %s" % (self.patience_s, what, await self.list()))
        return None

    async def member(self, node):
        there = await self.until("%s is a member" % node.peer, lambda there: node.peer in there)
        return there and there[node.peer]

    async def until_voter(self, node, before=None):
        """Where that place was another's before, the list may still be of that time."""
        def is_voter(there):
            member = there.get(node.peer)
            return (member and member["voter"] == "1" and is_known(member["life"])
                    and member["life"] != before)
        return await self.until("%s is a voter" % node.peer, is_voter)

    async def all_have_lives(self):
        return await self.until("all lives are in the list", lambda there: all(
            is_known(member["life"]) for member in there.values()))

    # -- to say a change ------------------------------------------------------------------------

    async def change(self, done, *words):
        """Through any node, again until it is answered or the list shows it.  True: it is done."""
        deadline = time.monotonic() + self.patience_s
        reply, refused_since = None, None
        while time.monotonic() < deadline:
            try:
                reply = await ask(self.rng.choice(self.present).address, *words, timeout=3)
            except BROKEN as error:
                reply = error
            if not isinstance(reply, (ErrorReply, Exception)):
                return self.has_changed(words)
            there = await self.list()
            if there is not None and done(there):
                return self.has_changed(words)
            if not isinstance(reply, ErrorReply) or NOT_NOW.match(reply):
                refused_since = None
            elif refused_since is None:
                refused_since = time.monotonic()
            elif time.monotonic() - refused_since > ANSWERED_S * self.options.slow:
                break
            await asyncio.sleep(AGAIN_S)
        self.problem("%s: %r" % (" ".join(map(str, words)), reply))
        return False

    def has_changed(self, words):
        self.changes += 1
        self.nemesis.note("done: %s" % " ".join(map(str, words)))
        return True

    async def take_out(self, node, member, *words):
        """It is out from the answer on."""
        id, life = member["id"], member["life"]
        def is_out(there):
            return all(other["life"] != life for other in there.values())
        # Of that life: an answer may be lost, and the request come late.
        if not await self.change(is_out, "RAFT.NODE", *words[:1], id, *words[1:], "LIFE", life):
            return False
        if not await self.until("%s is out" % life, is_out):
            return False
        term, place = max(self.observed.leaders), max(self.observed.lists)
        self.observed.is_out(life, term, place)
        self.nemesis.note("node %d, life %s, is out by the list at %d" % (node.number, life, place))
        return True

    # -- nodes ----------------------------------------------------------------------------------

    def spare(self):
        return next((node for node in self.spots if node not in self.present and not node.running()), None)

    def begin(self, node):
        """With an empty directory; it asks those that are members now."""
        node.join([other.peer for other in self.present if other is not node])
        node.start()
        if node not in self.present:
            self.present.append(node)
        if node.address not in self.addresses:
            self.addresses.append(node.address)

    def leaves(self, node):
        """No fault is for it any more, but clients still ask it."""
        if node in self.present:
            self.present.remove(node)

    async def let_linger(self, node):
        """Out, and running: as it is, or after a restart."""
        async with node.lock:
            if self.rng.random() < 0.3:
                node.kill()
                node.start()
            deadline = time.monotonic() + self.rng.uniform(0, LINGER_S)
            while time.monotonic() < deadline:
                await node.raft()
                await asyncio.sleep(AGAIN_S)
            self.end(node)

    def end(self, node):
        node.kill()
        node.wipe()
        if node.address in self.addresses and node not in self.present:
            self.addresses.remove(node.address)

    # -- the changes ----------------------------------------------------------------------------

    def happens(self, kind, text):
        self.nemesis.happens(kind, text)

    def any(self):
        return self.rng.choice(self.present)

    async def add(self):
        """Sometimes it finds a place that is kept for it."""
        node = self.spare()
        if node is None:
            return
        self.happens("add", "node %d" % node.number)
        if self.rng.random() < 0.4:
            if not await self.change(lambda there: node.peer in there, "RAFT.NODE", "ADD", node.peer):
                return
        self.begin(node)
        await self.until_voter(node)

    async def remove(self):
        if len(self.present) <= self.first:
            return await self.add()
        node = self.any()
        member = await self.member(node)
        if not member:
            return
        self.happens("remove", "node %d" % node.number)
        if await self.take_out(node, member, "REMOVE"):
            self.forget_learner(node)
            self.leaves(node)
            await self.let_linger(node)

    async def replace(self):
        """By a node elsewhere; the one whose place it takes still runs."""
        node, other = self.any(), self.spare()
        if other is None:
            return await self.remove()
        member = await self.member(node)
        if not member or not await self.all_have_lives():
            return
        self.happens("replace", "node %d by node %d" % (node.number, other.number))
        if await self.take_out(node, member, "REPLACE", other.peer):
            was_learner = self.forget_learner(node)
            self.leaves(node)
            self.begin(other)
            await asyncio.gather(self.let_linger(node), self.come_back(other, member, was_learner))

    async def come_back(self, node, member, was_learner):
        if was_learner:
            await self.change(lambda there: False, "RAFT.NODE", "PROMOTE", member["id"])
        await self.until_voter(node, member["life"])

    async def lose_disk(self):
        """Sometimes it starts as if nothing had happened, before anybody says that it is replaced."""
        node = self.any()
        voters = [each for each in self.present if each is not self.learner]
        if node in voters and len(voters) < 3:
            return await (self.promote if self.learner else self.add)()  # it would be a majority
        if not await self.all_have_lives():
            return
        member = await self.member(node)
        if not member:
            return
        async with node.lock:
            if node not in self.present:
                return
            self.happens("lose disk", "node %d" % node.number)
            node.kill()
            node.wipe()
            if not node.joins and self.rng.random() < 0.6:
                await self.start_as_before(node)
            if not await self.take_out(node, member, "REPLACE"):
                return
            was_learner = self.forget_learner(node)
            self.begin(node)
        await self.come_back(node, member, was_learner)

    async def start_as_before(self, node):
        """The others refuse it; it ends when one has told it so, which a cut may prevent."""
        self.happens("start on an empty disk", "node %d" % node.number)
        node.start(expects_end=True)
        deadline = time.monotonic() + REFUSED_S
        while node.running() and time.monotonic() < deadline:
            if int((await node.raft()).get("raft_log_last_index", 0)) > 0:
                self.problem("node %d lost its disk, and is let in as if it had not" % node.number)
            await asyncio.sleep(AGAIN_S)
        node.kill()
        node.wipe()

    def forget_learner(self, node):
        was = self.learner is node
        if was:
            self.learner = None
        return was

    async def demote(self):
        """And the next time back."""
        if self.learner:
            return await self.promote()
        node = self.any()
        member = await self.member(node)
        if not member:
            return
        self.happens("demote", "node %d" % node.number)
        def is_learner(there):
            return node.peer in there and there[node.peer]["voter"] == "0"
        if await self.change(is_learner, "RAFT.NODE", "DEMOTE", member["id"]):
            self.learner = node

    async def promote(self):
        node, self.learner = self.learner, None
        member = await self.member(node)
        if not member:
            return
        self.happens("promote", "node %d" % node.number)
        if await self.change(lambda there: False, "RAFT.NODE", "PROMOTE", member["id"]):
            await self.until_voter(node)

    async def transfer(self):
        """As an operator says it: it may be refused, and the office may go elsewhere."""
        node = self.any()
        member = await self.member(node)
        if not member:
            return
        to = [member["id"]] if self.rng.random() < 0.7 else []
        self.happens("transfer", "to %s" % ("node %d" % node.number if to else "whom it likes"))
        try:
            reply = await ask(self.any().address, "RAFT.TRANSFER_LEADER", *to, timeout=3)
        except BROKEN as error:
            reply = error
        self.nemesis.note("transfer: %r" % reply)

    async def backup(self):
        await self.backups.make(self.any())

    # -- rounds ---------------------------------------------------------------------------------

    def changes_of_members(self):
        return [self.replace, self.add, self.lose_disk, self.demote, self.remove, self.demote, self.transfer,
                self.lose_disk, self.replace, self.transfer, self.backup, self.add, self.remove]

    async def settle(self):
        """Everything is whole: all nodes are members that answer, and nobody else is."""
        def is_settled(there):
            return set(there) == {node.peer for node in self.present} and all(
                member["active"] == "1" and is_known(member["life"])
                and (member["voter"] == "1" or node is self.learner)
                for node in self.present for member in [there[node.peer]])
        return await self.until("all nodes are members that answer", is_settled)

    async def end_well(self):
        """Every one a voter, so that each can lead and show what it has."""
        if self.learner:
            await self.promote()
        return await self.settle()
