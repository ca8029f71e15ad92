// rate-limiter-flexible while the leader dies: no limit is exceeded, and none met before it is used
// up.  See `run` for the words that are exchanged with the runner.
'use strict';
const Redis = require('ioredis');
const { RateLimiterRedis } = require('rate-limiter-flexible');
const { check, leaderDies, NOT_DONE, UNKNOWN, ports, sleep } = require('./common.js');

const POINTS = 100;
const SHORT = { points: 20, duration: 1 }; // 20 in a second
const SLACK = 20; // ms between clocks: the log's counts whole ms

// 'got', 'refused', 'unknown' or 'not done'
async function consume(limiter, key) {
  try {
    await limiter.consume(key, 1);
    return 'got';
  } catch (why) {
    if (!(why instanceof Error)) return 'refused';
    if (NOT_DONE.test(why.message)) return 'not done';
    if (UNKNOWN.test(why.message)) return 'unknown';
    throw why;
  }
}

// One account after another is used up by all.
async function useUp(limiter, death, accounts) {
  while (!death.over || accounts.length < 5) {
    const at = accounts.length - 1;
    const outcome = await consume(limiter, `account${at}`);
    accounts[at][outcome] = (accounts[at][outcome] || 0) + 1;
    if (outcome === 'refused' && accounts.length === at + 1) accounts.push({});
    if (outcome === 'unknown' || outcome === 'not done') await sleep(5);
  }
}

async function useWindows(limiter, death, times) {
  while (!death.over || times.length < 3 * SHORT.points) {
    const called = performance.now();
    if (await consume(limiter, 'window') === 'got') times.push({ called, answered: performance.now() });
    await sleep(2);
  }
}

async function main() {
  const accounts = [{}];
  const times = [];
  const death = leaderDies();
  const all = ports.flatMap((port) => {
    const storeClient = new Redis({ port, host: '127.0.0.1', autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 });
    storeClient.on('error', () => {}); // a node dies
    const limiter = new RateLimiterRedis({ storeClient, points: POINTS, duration: 600, keyPrefix: 'long' });
    const windows = new RateLimiterRedis({ storeClient, ...SHORT, keyPrefix: 'short' });
    return [useUp(limiter, death, accounts), useUp(limiter, death, accounts), useWindows(windows, death, times)];
  });
  await Promise.all(all);
  const sum = (word) => accounts.reduce((n, a) => n + (a[word] || 0), 0);
  const counts = `${accounts.length} accounts, ${sum('got')} got, ${sum('refused')} refused, ${sum('unknown')} unknown`;
  check(`no account is overdrawn, ${counts}`,
    accounts.filter((a) => (a.got || 0) > POINTS).map((a) => JSON.stringify(a)));
  check('nobody is refused what is left',
    accounts.filter((a) => a.refused && (a.got || 0) + (a.unknown || 0) < POINTS).map((a) => JSON.stringify(a)));
  // Two windows that meet allow twice as many at once; one more takes a whole one in between.
  times.sort((a, b) => a.called - b.called);
  const over = times.slice(2 * SHORT.points)
    .map((last, i) => last.answered - times[i].called)
    .filter((span) => span < 1000 * SHORT.duration - SLACK);
  check(`no window lets more through, ${times.length} got`,
    over.length ? [`${2 * SHORT.points + 1} in ${over[0]} ms`] : []);
  console.log('done');
  process.exit(0);
}

main().catch((error) => { console.log(`not ok rate-limiter: ${error.stack}`); process.exit(1); });
