// redlock, one resource of it on each node, while the leader dies: who holds the lock, by its own
// account of until when, holds it alone.  See `run` for the words that are exchanged with the runner.
'use strict';
const Redis = require('ioredis');
const { default: Redlock } = require('redlock');
const { check, leaderDies, ports, sleep } = require('./common.js');

const TTL = 1000; // ms
const driftFactor = 0.1; // of it: clocks differ, also those of the old leader and the new one
const PLACES = ['node 0', 'node 1', 'node 2'];

// What a holder does: works, works for longer than it asked for at first, or dies with the lock.
async function hold(lock, held, random) {
  let current = lock;
  const from = Date.now();
  const interval = { from, until: lock.expiration };
  held.push(interval);
  await sleep(3);
  if (random < 0.2) {
    current = await lock.extend(TTL);
    interval.until = current.expiration;
    await sleep(3);
  } else if (random > 0.97) {
    return;
  }
  interval.until = Math.min(interval.until, Date.now());
  await current.release();
}

async function work(port, death, place, held, counts) {
  const client = new Redis({ port, host: '127.0.0.1' });
  client.on('error', () => {}); // a node dies
  const redlock = new Redlock([client], { driftFactor, retryCount: 60, retryDelay: 20, retryJitter: 20 });
  redlock.on('error', () => {}); // not got
  for (let after = 0; !death.over || after < 5;) {
    try {
      const lock = await redlock.acquire(['the-lock'], TTL);
      counts.got++;
      if (death.over) after++;
      await hold(lock, held, Math.random());
    } catch (error) {
      counts[error.name === 'ExecutionError' ? 'failed' : 'broken']++;
    }
  }
  place.done = true;
  client.disconnect();
}

async function main() {
  const held = [];
  const counts = { got: 0, failed: 0, broken: 0 };
  const places = PLACES.map((name) => ({ name, done: false }));
  const death = leaderDies();
  const all = ports.flatMap((port, i) => [0, 1].map(() => work(port, death, places[i], held, counts)));
  await Promise.race([Promise.all(all), sleep(60000)]);
  held.sort((a, b) => a.from - b.from);
  const twice = held.filter((h, i) => i > 0 && h.from < Math.max(...held.slice(Math.max(0, i - 20), i).map((o) => o.until)));
  check(`one holder at a time, ${counts.got} got, ${counts.failed} failed, ${counts.broken} broken`,
    twice.length || counts.got < 20 ? [`held by two at once: ${JSON.stringify(twice.slice(0, 3))}`] : []);
  check('got through every node afterwards',
    places.filter((place) => !place.done).map((place) => place.name));
  console.log('done');
  process.exit(0);
}

main().catch((error) => { console.log(`not ok redlock: ${error.stack}`); process.exit(1); });
