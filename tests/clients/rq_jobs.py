"""rq as Debian packages it, while the leader dies: every job whose enqueueing was answered is done.

Its workers pop a job before they do it.  One whose commands fail in between fails the job, which rq
keeps and tries again; or it ends, and takes the job along: those that it is known to have got are
counted, all others have to be done.
See `run` for the words that are exchanged with the runner.
"""
import os
import subprocess
import sys
import tempfile
import threading
import time

import redis
import rq

QUEUE = "rq-jobs"
PLACE = "RQ_JOBS_NOTES"  # where jobs and workers leave word, a line each


def note(text):
    with open(os.environ[PLACE], "a", encoding="ascii") as file:
        file.write(text + "\n")


def job(number):
    time.sleep(0.005)
    note("done job-%d" % number)


def connect(port):
    return redis.Redis(port=port, socket_timeout=10)


# ---- a worker, in a process of its own -----------------------------------------------------------

class NotingQueue(rq.Queue):
    """Leaves word of what it popped."""

    @classmethod
    def lpop(cls, *arguments, **named):
        result = super().lpop(*arguments, **named)
        if result:
            note("popped %s" % result[1].decode())
        return result


class NotingWorker(rq.Worker):
    queue_class = NotingQueue


def be_worker(port):
    connection = redis.Redis(port=port)
    NotingWorker([NotingQueue(QUEUE, connection=connection)], connection=connection,
                 queue_class=NotingQueue).work(logging_level="CRITICAL")


class Workers:
    """One on each port; started again when it ends, as a supervisor would."""

    def __init__(self, ports):
        self.is_over = False
        self.ends = 0
        self.threads = [threading.Thread(target=self.keep, args=(port,)) for port in ports]
        for thread in self.threads:
            thread.start()

    def keep(self, port):
        while not self.is_over:
            process = subprocess.Popen([sys.executable, __file__, "--worker", str(port)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            while process.poll() is None and not self.is_over:
                time.sleep(0.02)
            self.ends += not self.is_over
            process.kill()
            process.wait()

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


# ---- the test ----------------------------------------------------------------------------------

def check(name, problem):
    print("not ok %s: %s" % (name, problem) if problem else "ok %s" % name, flush=True)


def enqueue(port, first, over, added):
    queue = rq.Queue(QUEUE, connection=connect(port))
    number = first
    while not over.is_set():
        try:
            queue.enqueue("rq_jobs.job", number, job_id="job-%d" % number,
                          retry=rq.Retry(max=100))
        except redis.RedisError:
            time.sleep(0.05)
            continue  # the same again
        added.append("job-%d" % number)
        number += 2
        time.sleep(0.06)


def notes():
    with open(os.environ[PLACE], encoding="ascii") as file:
        lines = [line.split() for line in file]
    return ({name for what, name in lines if what == "popped"},
            {name for what, name in lines if what == "done"})


def leader_dies(over):
    time.sleep(1.5)  # a worker takes as long to start
    print("midway", flush=True)
    sys.stdin.readline()
    over.set()


def main(ports):
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    added, over = [], threading.Event()
    workers = Workers(ports[1:])
    producers = [threading.Thread(target=enqueue, args=(ports[at], at, over, added)) for at in (0, 1)]
    for thread in producers:
        thread.start()
    leader_dies(over)
    for thread in producers:
        thread.join()
    deadline = time.monotonic() + 10
    while True:
        popped, done = notes()
        if set(added) <= done or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    workers.stop()
    popped, done = notes()
    kept = rq.registry.FailedJobRegistry(QUEUE, connection=connect(ports[1])).get_job_ids()
    lost = [name for name in added if name not in popped]
    taken = [name for name in added if name in popped and name not in done and name not in kept]
    check("every job is got by a worker, %d added" % len(added),
          "not got: %s" % lost if lost else None if len(added) > 30 else "too few")
    check("every job is done, but %d that failed and %d that ended workers had" %
          (len([name for name in added if name in kept and name not in done]), len(taken)),
          None if len(taken) <= workers.ends else "%s, and %d workers ended" % (taken, workers.ends))
    print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        be_worker(int(sys.argv[2]))
    else:
        with tempfile.NamedTemporaryFile() as file:
            os.environ[PLACE] = file.name
            main([int(p) for p in sys.argv[1:]])
