"""At the end every node's own copy of the data must be the same.  Reads are answered from the leader's
copy, so leader after leader is killed, until each node has led and was read."""
import asyncio

from resp import BROKEN, Connection

AT_ONCE = 200
TRIES = 5  # for each node: who leads next is chance


async def copy_of(node, keys):
    """What it answers; None if it does not lead all the while, or does not answer."""
    before = await node.raft()
    values = {}
    try:
        connection = await Connection.open(node.address, 2)
        try:
            for first in range(0, len(keys), AT_ONCE):
                part = keys[first:first + AT_ONCE]
                connection.send(*[("GET", key) for key in part])
                for key in part:
                    values[key] = await connection.receive(5)
        finally:
            connection.close()
    except BROKEN:
        return None
    after = await node.raft()
    same = all(before.get(field) == after.get(field) for field in ("raft_role", "raft_current_term"))
    return values if same and after.get("raft_role") == "leader" else None


def differences(copies, keys):
    (first, reference), *others = copies.items()
    return ["%s is %.60r on node %d, but %.60r on node %d" % (
        key, copy[key], number, reference[key], first)
        for number, copy in others for key in keys if copy[key] != reference[key]]


async def compare(nodes, nemesis, keys, problem):
    """The number of copies that were compared.  No client writes any more."""
    copies = {}
    for _ in range(TRIES * len(nodes)):
        leader = await nemesis.leader()
        if leader is not None:
            copy = await copy_of(leader, keys)
            if copy is not None:
                copies[leader.number] = copy
            if len(copies) == len(nodes):
                break
            leader.kill()
            # Long enough for another to be elected, not only to begin.
            await asyncio.sleep(1)
            leader.start()
        if not await nemesis.progress():
            break
    for text in differences(copies, keys)[:5] if copies else []:
        problem(text)
    return len(copies)
