"""The whole way from what clients and nodes said to a verdict, seen to fail: a read of a value that was
overwritten for certain is added to a history that the run has recorded; a node that was replaced counts
again in what the run has observed."""
import os
import subprocess


def overwritten(lines):
    """A key and a unique value of it that was acknowledged, and after that read to be another."""
    written = {}
    for line in lines:
        left, _, reply = line.strip().partition(" -> ")
        words = left.split(" ")
        called, returned, command = words[1], words[2], words[3:]
        if returned == "-" or not command[1].startswith("register:"):
            continue
        if command[0] == "SET" and len(command) == 3 and reply == "+OK":
            written.setdefault(command[1], (int(returned), command[2]))
        elif command[0] == "GET" and command[1] in written:
            when, value = written[command[1]]
            if int(called) > when and reply.startswith('"') and reply != '"%s"' % value:
                return command[1], value
    return None


def stale_read(history, linear):
    """The reasons why this test failed: none."""
    for epoch in history.epochs.values():
        found = overwritten(epoch.lines)
        if found:
            break
    else:
        return ["no history has an overwritten value"]
    path = os.path.join(history.directory, "planted.txt")
    with open(path, "w") as file:
        file.writelines(epoch.lines)
        file.write('4000 %d %d GET %s -> "%s"\n' % (history.now(), history.now(), *found))
    result = subprocess.run([linear, path], stdout=subprocess.PIPE, text=True)
    if result.returncode != 1 or "key %s: not linearizable" % found[0] not in result.stdout:
        return ["build/linear says of %s:\n%s" % (path, result.stdout)]
    os.unlink(path)
    return []


def in_a_later_list(observed, life):
    place = max(observed.lists)
    (said,) = observed.lists[place]
    observed.lists[place + 1] = {said[:-1] + ((said[-1][0], life) + said[-1][2:],)}


def leads_later(observed, life):
    observed.leaders[max(observed.leaders) + 1] = {life}


def leads_beside_another(observed, life):
    term = max(observed.leaders)
    observed.disowned[life] = (term, 0)
    observed.leaders[term] |= {life}


def follows(observed, life):
    observed.hears(life, observed.disowned[life][1] + 1)


def replaced_node_counts(observed):
    """The reasons why this test failed: none."""
    if not observed.disowned:
        return ["no node was taken out"]
    life = next(iter(observed.disowned))
    reasons = []
    for plant in (in_a_later_list, leads_later, leads_beside_another, follows):
        wrong = observed.copy()
        plant(wrong, life)
        if not any(life in text for text in wrong.judge()):
            reasons.append("%s: %s" % (plant.__name__, wrong.judge()))
    return reasons
