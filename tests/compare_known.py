"""What redis-server 7.0 answers differently from a node of redis-raft, which is to answer as 7.2 does:
all that is known, each with its reason.  The compare_*.py ask KNOWN before they report a difference.

Two replies that say the same in another order, or of random choice, are no difference: that is
shape(), in compare_collections.py.
"""
from collections import Counter

SIGN_OF_ZERO = "a score of -0 loses its sign while a set is small, here also while ZUNIONSTORE and the like make a large one"
LAST_BIT = "distances are computed here without the library's sines, so their last bit may be another"
# What they store differs as well, and so does what DEBUG DIGEST says.
INEXACT = (SIGN_OF_ZERO, LAST_BIT)
HITS = Counter()  # how often each reason was one
NEAR_S = 60       # what a busy machine may lie between the two servers


def starts(*texts):
    return tuple(text.encode() for text in texts)


def number(reply):
    return int(reply[1:]) if reply[:1] == b":" else None


def is_near(theirs, ours, unit):
    """Both say a time that is still to come, and nearly the same."""
    a, b = number(theirs), number(ours)
    return a is not None and b is not None and a > 0 and b > 0 and abs(a - b) <= NEAR_S * unit


def without_estimate(reply):
    at = reply.find(b"HYLL") + 8
    return reply[:at] + reply[at + 8:] if at >= 8 else reply


def encodings(line, theirs, ours):
    """What both say of one, without the length; None for another command."""
    return (theirs.split(b"\r\n")[1:2], ours.split(b"\r\n")[1:2]) if line[:2] == ["OBJECT", "ENCODING"] else (None, None)


def is_small(line, theirs, ours):
    a, b = encodings(line, theirs, ours)
    return a in ([b"hashtable"], [b"quicklist"]) and b == [b"listpack"]


def is_changed_string(line, theirs, ours):
    a, b = encodings(line, theirs, ours)
    return a in ([b"raw"], [b"embstr"]) and b in ([b"embstr"], [b"int"])


def is_sorted(line, theirs, ours):
    return encodings(line, theirs, ours) == ([b"skiplist"], [b"listpack"])


def is_restored(line, theirs, ours):
    return encodings(line, theirs, ours) in (([b"listpack"], [b"hashtable"]), ([b"listpack"], [b"skiplist"]))


def without_sign(reply):
    return reply.replace(b"$2\r\n-0\r\n", b"$1\r\n0\r\n").replace(b",-0\r\n", b",0\r\n")


def is_near_in_all(theirs, ours):
    """Line by line: the same, or numbers that are the same but for their last bits, and their lengths."""
    for a, b in zip(theirs.split(b"\r\n"), ours.split(b"\r\n")):
        if a == b or a[:1] == b[:1] == b"$":
            continue
        try:
            x, y = float(a.lstrip(b",")), float(b.lstrip(b","))
        except ValueError:
            return False
        if abs(x - y) > 1e-13 * abs(x):
            return False
    return theirs.count(b"\r\n") == ours.count(b"\r\n")


def is_last_bit(line, theirs, ours):
    return line[0].startswith("Z") and is_near_in_all(theirs, ours)


def is_sign_of_zero(line, theirs, ours):
    order = sorted if line[0] == "ZSCAN" else list
    return line[0].startswith("Z") and order(without_sign(theirs).split(b"\r\n")) == order(without_sign(ours).split(b"\r\n"))


def is_refcount(line, theirs, ours):
    return line[:2] == ["OBJECT", "REFCOUNT"] and {theirs, ours} == {b":1\r\n", b":2147483647\r\n"}


def is_tie(line, theirs, ours):
    return line[0].startswith("GEO") and "COUNT" in line and theirs[:1] == b"*" and \
        theirs.split(b"\r\n")[0] == ours.split(b"\r\n")[0]


def is_idletime(line, theirs, ours):
    return line[:2] == ["OBJECT", "IDLETIME"] and ours == b":0\r\n" and theirs.startswith(b":")


def is_order_of_text(line, theirs, ours):
    return line[0].startswith("SORT") and "ALPHA" in line and ("GET" in line or b"\0" in theirs + ours) and \
        theirs.split(b"\r\n")[0] == ours.split(b"\r\n")[0]


def is_unbalanced(line, theirs, ours):
    return line[0] in ("XREAD", "XREADGROUP") and theirs.startswith(b"-ERR Unbalanced XREAD") and \
        ours.startswith(f"-ERR Unbalanced '{line[0].lower()}'".encode())


def is_xsetid(line, theirs, ours):
    return line[0] == "XSETID" and (theirs == b"+OK\r\n" or b"smaller than the target stream top" in theirs) and \
        b"smaller than current max_deleted_entry_id" in ours


def is_cut_error(line, theirs, ours):
    return theirs[:1] == b"-" and len(ours) > 100 and theirs.startswith(ours[:-2])


def is_deadline(line, theirs, ours):
    unit = {"TTL": 1, "EXPIRETIME": 1, "PTTL": 1000, "PEXPIRETIME": 1000}.get(line[0])
    return unit is not None and is_near(theirs, ours, unit)


DEADLINES = ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "GETEX")

# A reason, and whether it is the one: of the words (upper case) and both replies.
KNOWN = [
    ("words are looked at before the data, in 7.2 of BITCOUNT and BITPOS too: what they refuse is not logged",
     lambda line, theirs, ours: ours.startswith(b"-ERR") and
     (theirs.startswith(starts("-WRONGTYPE", "-ERR no such key", "-NOGROUP", "-ERR could not decode", "-BUSYKEY")) or
      line[0] in ("BITCOUNT", "BITPOS") or line[0] in DEADLINES and theirs in (b":0\r\n", b"$-1\r\n", b"_\r\n"))),
    ("an increment of infinity is refused itself since 7.2",
     lambda line, theirs, ours: line[0] == "HINCRBYFLOAT" and b"NaN or Infinity" in ours),
    ("a small set of strings is a hashtable in 7.0, any list a quicklist", is_small),
    ("a string that was changed in place is raw there, a number that INCRBYFLOAT made a text; here the value says it",
     is_changed_string),
    ("which small integers share an object depends there on the commands that made them", is_refcount),
    ("of places that are equally far COUNT takes some", is_tie),
    ("nothing notes here when a key was looked at", is_idletime),
    ("for strcoll() a text ends at a NUL, which GET and LIMIT show as well", is_order_of_text),
    ("7.2 names the command that is unbalanced", is_unbalanced),
    ("XREAD knows + as the last entry since 7.4",
     lambda line, theirs, ours: line[0] == "XREAD" and "+" in line and theirs.startswith(b"-ERR Invalid stream ID")),
    ("the text of an error is cut here where a name makes it long", is_cut_error),
    ("XSETID looks at the largest id that was deleted first since 7.2", is_xsetid),
    ("PFCOUNT keeps its estimate in the value there, and is a read here",
     lambda line, theirs, ours: line[0] in ("GET", "GETEX") and
     without_estimate(theirs) == without_estimate(ours)),
    ("the two execute a command at times of their own", is_deadline),
]


# The same, where a command of that name is among what was said before.
KNOWN_BEHIND = [
    ("SORT", "a sorted set that SORT looked at is a skiplist there from then on", is_sorted),
    ("RESTORE", "what is restored stays packed there, however long its elements are", is_restored),
    ("HSET of many", "since 7.2 a hash is large that is given more than 128 pairs at once, though their fields repeat",
     is_restored),
    # A small set has no -0, in both; which is small depends there on SORT and RESTORE.
    *[(name, LAST_BIT, is_last_bit) for name in ("GEOSEARCHSTORE", "GEORADIUS", "GEORADIUSBYMEMBER")],
    *[(name, SIGN_OF_ZERO, is_sign_of_zero) for name in ("SORT", "RESTORE", "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE")],
]


# What is not said, since both would hold something else from then on (compare_types.py).
UNWATCHED = ("XGROUP", "XREADGROUP", "XACK", "XCLAIM", "XAUTOCLAIM", "XSETID", "PFCOUNT")
NOT_SAID = [
    "between WATCH and MULTI what changes groups of a stream, and XSETID: they break no WATCH there; and PFCOUNT, which does",
    "between WATCH and MULTI more than one command: a key made and deleted there is no change here",
    "anything of a stream behind its XSETID: 7.0 takes ids below the largest that was deleted",
    "COUNT of places that are stored: of those that are equally far it takes some",
    "scans from a cursor on: they are each server's own",
    "SPOP of one, or of some: each draws by itself",
    "SET with a deadline that is over without a DEL behind it: DBSIZE counts the key until it is deleted, there by who\
 looks at it, here by a tick",
    "where SORT is, numbers out of range: SORT finds errno there as they left it, and refuses what is right",
    "a HyperLogLog that is damaged further in and written: what came before the damage stays done there",
]


def known(words, theirs, ours, said=frozenset()):
    """The reason why two replies differ, or None."""
    line = [w.upper() if isinstance(w, str) else w for w in words]
    behind = [(reason, is_it) for name, reason, is_it in KNOWN_BEHIND if name in said]
    for reason, is_it in KNOWN + behind:
        if is_it(line, theirs, ours):
            HITS[reason] += 1
            return reason
    return None
