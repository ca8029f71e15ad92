"""Clients: each sends commands through one node after the other, and notes what it saw.

Some send one command at a time, some several in one write; some number their writes (ONCE) and repeat
those without an answer, through other nodes, until there is one.  Values are unique, so that every read
tells whose write it saw; compare-and-set uses values that were seen."""
import asyncio
import random
import re

from resp import BROKEN, Connection, ErrorReply, ask

# README: "An error says what it knows".
UNKNOWN = re.compile(r"may or may not have been executed")
NOT_DONE = re.compile(r"was not executed")

ANSWER_S = 4  # longer than request-timeout: a node that runs has answered by then
CONNECT_S = 1
STAY = 40  # commands through the same node
THINK_S = 0.02
READS = {"GET", "STRLEN", "EXISTS"}

# Form of the words behind the key: v is a new value, s one that was seen, a number is itself.
FORMS = {
    "register": [
        (28, "GET"), (10, "SET v"), (3, "SET v NX"), (3, "SET v XX"), (3, "SET v GET"),
        (5, "SET v IFEQ s"), (3, "SET v IFNE s"), (14, "CAS s v"), (5, "CAD s"), (4, "SETNX v"),
        (4, "DEL"), (4, "GETSET v"), (3, "GETDEL"), (2, "DELIFEQ s"), (2, "STRLEN"), (2, "EXISTS")],
    "counter": [
        (30, "INCR"), (8, "DECR"), (8, "INCRBY 7"), (4, "DECRBY 3"), (25, "GET"), (4, "EXISTS"),
        (1, "DEL")],
    "list": [(50, "APPEND v"), (40, "GET"), (10, "STRLEN")],
}


class Client:
    def __init__(self, number, addresses, history, problem, seed, *, burst=1, once=False):
        self.number, self.addresses = number, addresses
        self.history, self.problem = history, problem
        self.rng = random.Random("%s/client%d" % (seed, number))
        self.burst, self.once = burst, once
        self.node = number % len(addresses)
        self.connection = None
        self.stopping = False
        self.made = self.requests = self.sent = 0
        self.seen = {}  # last value seen of a key, for this and the last few keys

    # -- what to do ----------------------------------------------------------------------------

    def value(self, kind):
        self.made += 1
        return "%d.%d%s" % (self.number, self.made, "," if kind == "list" else "")

    def choose(self):
        kind = self.rng.choice(["register", "register", "counter", "list"])
        key = self.history.key(kind, self.rng)
        forms = FORMS[kind]
        form = self.rng.choices([f for _, f in forms], [w for w, _ in forms])[0].split()
        words = [form[0], key]
        for part in form[1:]:
            words.append(self.value(kind) if part == "v" else
                         self.seen.get(key, "none") if part == "s" else part)
        if self.once and form[0] not in READS and self.rng.random() < 0.6:
            self.requests += 1
            words = ["ONCE", "c%d" % self.number, str(self.requests)] + words
        return words, key

    # -- one exchange --------------------------------------------------------------------------

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = None
        self.node = self.rng.randrange(len(self.addresses))

    async def connect(self):
        """True if there is a connection."""
        self.sent += 1
        if self.sent % STAY == 0:
            self.drop()
        if self.connection is None:
            try:
                address = self.addresses[self.node % len(self.addresses)]  # members come and go
                self.connection = await Connection.open(address, CONNECT_S)
            except BROKEN:
                self.drop()
                await asyncio.sleep(0.03)
        return self.connection is not None

    def take(self, called, words, key, reply):
        """Notes a reply; True if it answers the command."""
        if isinstance(reply, ErrorReply):
            if UNKNOWN.search(reply):
                self.history.unknown(self.number, called, words, key, self.changes(words))
                return False
            if NOT_DONE.search(reply):
                self.history.not_done(key)
                return False
            self.problem("client %d: %s was answered with -%s" % (self.number, words, reply))
        if isinstance(reply, bytes):
            if len(self.seen) > 50:
                self.seen.clear()
            self.seen[key] = reply.decode("latin1")
        self.history.answered(self.number, called, words, key, reply)
        return True

    def changes(self, words):
        return words[0] not in READS

    async def exchange(self, commands):
        """True if all were answered.  What was not sent leaves no trace."""
        if not await self.connect():
            return False
        called = [self.history.begin(key) for _, key in commands]
        answered, came = True, 0
        try:
            self.connection.send(*[words for words, _ in commands])
            for (words, key), when in zip(commands, called):
                reply = await self.connection.receive(ANSWER_S)
                came += 1
                answered &= self.take(when, words, key, reply)
        except BROKEN:
            self.drop()
            for (words, key), when in list(zip(commands, called))[came:]:
                self.history.unknown(self.number, when, words, key, self.changes(words))
        return answered and came == len(commands)

    async def once_until_answered(self, words, key):
        # The key's epoch is not over before this is.
        self.history.epoch_of(key).under_way += 1
        while not await self.exchange([(words, key)]) and not self.stopping:
            self.history.totals["repeats of ONCE"] += 1
            await asyncio.sleep(0.01)
            if self.rng.random() < 0.5:
                self.drop()
        self.history.epoch_of(key).under_way -= 1

    async def run(self):
        while not self.stopping:
            commands = [self.choose() for _ in range(self.rng.randint(1, self.burst))]
            if commands[0][0][0] == "ONCE":
                await self.once_until_answered(*commands[0])
            else:
                await self.exchange(commands)
            await asyncio.sleep(self.rng.random() * THINK_S)
        self.drop()


def make_clients(addresses, history, problem, seed):
    """Through each node: one at a time, with ONCE, in bursts."""
    clients = []
    for number in range(4 * max(3, len(addresses))):
        clients.append(Client(number, addresses, history, problem, seed,
                              burst=4 if number % 4 == 3 else 1, once=number % 2 == 0))
    return clients


async def ballast(addresses):
    """For ever: data that nobody judges, so that there are checkpoints, and disks do fill up."""
    number = 0
    while True:
        number += 1
        try:
            await ask(addresses[number % len(addresses)], "SET", "ballast:%d" % (number % 200),
                      "x" * 8000, timeout=1)
        except BROKEN:
            pass  # its answer is of no interest
        await asyncio.sleep(0.1)


async def read_back(addresses, history, problem):
    """Every key that there was, through every node."""
    for number, address in enumerate(addresses):
        reader = Client(1000 + number, [address], history, problem, number)
        for key in history.keys():
            for _ in range(50):
                if await reader.exchange([(["GET", key], key)]):
                    break
                await asyncio.sleep(0.1)
            else:
                problem("%s cannot be read through node %d at the end" % (key, number))
                return
        reader.drop()
