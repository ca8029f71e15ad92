// bullmq while the leader dies: every job whose adding was answered is done, once at least, also
// those that wait for their time or have a priority; added twice under one id it is one job.  See
// `run` for the words that are exchanged with the runner.
'use strict';
const { Queue, Worker } = require('bullmq');
const { check, leaderDies, ports, sleep } = require('./common.js');

const NAME = 'work';
const connection = (port) => ({ port, host: '127.0.0.1', maxRetriesPerRequest: null });

function worker(port, done) {
  const made = new Worker(NAME, async (job) => {
    await sleep(2);
    done.set(job.data.n, (done.get(job.data.n) || 0) + 1);
  }, {
    connection: connection(port), concurrency: 8, lockDuration: 1000, stalledInterval: 500, maxStalledCount: 100,
  });
  made.on('error', () => {}); // a node dies
  return made;
}

async function produce(port, death, first, added) {
  const queue = new Queue(NAME, { connection: connection(port) });
  queue.on('error', () => {});
  for (let n = first; !death.over; n += 2) {
    // Also what was done and could not say so is done again.
    const options = { jobId: `job-${n}`, attempts: 100, ...(n % 3 === 0 && { delay: 100 }), ...(n % 5 === 0 && { priority: 1 + n % 4 }) };
    for (let isAdded = false; !isAdded;) {
      // Again under the same id, whatever became of the first.
      try {
        await queue.add('job', { n }, options);
        isAdded = true;
      } catch (error) {
        await sleep(20);
      }
    }
    added.push(n);
    await sleep(3);
  }
  return queue;
}

async function main() {
  const done = new Map();
  const added = [];
  const death = leaderDies();
  ports.forEach((port) => worker(port, done));
  const [queue] = await Promise.all([produce(ports[1], death, 0, added), produce(ports[0], death, 1, added)]);
  let counts;
  for (const deadline = Date.now() + 30000; Date.now() < deadline; await sleep(50)) {
    counts = await queue.getJobCounts('completed', 'active', 'wait', 'delayed', 'prioritized', 'failed');
    if (counts.completed === added.length && added.every((n) => done.has(n))) break;
  }
  const lost = added.filter((n) => !done.has(n));
  const again = [...done.values()].filter((times) => times > 1).length;
  check(`every job is done, ${added.length} added, ${again} done again`,
    lost.length || added.length < 30 ? [`not done: ${lost.slice(0, 20)} of ${added.length}; ${JSON.stringify(counts)}`] : []);
  check('every job is complete, and is one',
    counts.completed === added.length && counts.active + counts.wait + counts.delayed + counts.prioritized + counts.failed === 0
      ? [] : [`${added.length} added: ${JSON.stringify(counts)} ${(await queue.getFailed()).map((job) => job.failedReason)}`]);
  console.log('done');
  process.exit(0);
}

main().catch((error) => { console.log(`not ok bullmq: ${error.stack}`); process.exit(1); });
