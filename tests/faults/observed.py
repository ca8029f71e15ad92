"""What all nodes said of their cluster, and whether it can be true of one that keeps its rules.

Told by every INFO raft that anybody reads: who led in which term, and which list of members stood at
which place of the log.  A member is named by the life of its data directory, so a node that lost its
disk, and the one that has its place now, are two."""
import copy


def members(fields):
    """By id, the members that INFO raft has."""
    found = {}
    for name, value in fields.items():
        if name.startswith("raft_member") and name[len("raft_member"):].isdigit():
            member = dict(part.split("=", 1) for part in value.split(","))
            found[int(member["id"])] = member
    return found


def is_committed(fields):
    """Whether the list that is in force there can no longer be taken back."""
    return int(fields.get("raft_members_index", 0)) <= int(fields.get("raft_commit_index", -1))


def is_known(life):
    return life.strip("0") != ""


class Observed:
    def __init__(self):
        self.leaders = {}   # term -> lives that led in it
        self.lists = {}     # place in the log -> what was said to stand there
        self.disowned = {}  # life -> term and place of the list in which it was known to be out
        self.followed = {}  # life -> what it had heard to be committed behind that

    def take(self, fields):
        if not fields:
            return
        everybody = members(fields)
        own = everybody.get(int(fields["raft_node_id"]))
        if fields["raft_role"] == "leader" and own and is_known(own["life"]):
            self.leaders.setdefault(int(fields["raft_current_term"]), set()).add(own["life"])
        if own and own["life"] in self.disowned:
            self.hears(own["life"], int(fields["raft_commit_index"]))
        place = int(fields.get("raft_members_index", 0))
        if place > 0 and is_committed(fields):
            self.lists.setdefault(place, set()).add(tuple(
                (id, member["life"], member["voter"], member["peer"])
                for id, member in sorted(everybody.items())))

    def is_out(self, life, term, place):
        """The change that took it out was acknowledged; `term` was seen since, and so was the list at
        `place`, which does not have it."""
        self.disowned[life] = (term, place)

    def hears(self, life, commit):
        if commit > self.disowned[life][1]:
            self.followed[life] = commit

    def copy(self):
        return copy.deepcopy(self)

    # -- the verdict ----------------------------------------------------------------------------

    def judge_terms(self):
        for term, lives in sorted(self.leaders.items()):
            if len(lives) > 1:
                yield "in term %d led %s" % (term, " and ".join(sorted(lives)))
            for life in lives:
                since = self.disowned.get(life, (term, 0))[0]
                if term > since:
                    yield "%s led in term %d, but was out of the cluster since term %d" % (life, term, since)
        for life, commit in self.followed.items():
            yield "%s, which is out of the cluster by the list at %d, followed until entry %d" % (
                life, self.disowned[life][1], commit)

    def judge_lists(self):
        gone = {}
        before = set()
        for place, said in sorted(self.lists.items()):
            if len(said) > 1:
                yield "at %d of the log stand %s" % (place, " and ".join(map(str, sorted(said))))
            lives = {life for _, life, _, _ in next(iter(said)) if is_known(life)}
            for life in lives & set(gone):
                yield "%s, taken out by the list at %d, is in the list at %d" % (life, gone[life], place)
            gone.update((life, place) for life in before - lives)
            before |= lives

    def judge(self):
        """What cannot be."""
        return list(self.judge_terms()) + list(self.judge_lists())
