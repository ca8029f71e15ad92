// Sessions, caches and transactions as libraries make them: connect-redis below express-session,
// @keyv/redis, and MULTI and WATCH of node-redis and ioredis.  See `run` for the words that are
// exchanged with the runner.
'use strict';
const readline = require('readline');
const { createClient } = require('redis');
const Redis = require('ioredis');
const session = require('express-session');
const { RedisStore } = require('connect-redis');
const { check, ports, sleep } = require('./common.js');

const UNKNOWN = /may or may not have been executed|onnection|ECONN|closed/i;
const REFUSED = /was not executed/;

async function connect(port, options) {
  const client = createClient({
    ...options,
    socket: { port, host: '127.0.0.1', reconnectStrategy: 50 },
  });
  client.on('error', () => {}); // a node dies: the commands' own errors are what counts
  await client.connect();
  return client;
}

function expecting(problems) {
  return (what, actual, expected) => {
    if (JSON.stringify(actual) !== JSON.stringify(expected)) {
      problems.push(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
    }
  };
}

// A store of express-session has callbacks; connect-redis gives promises too.
async function stores(r, name) {
  const problems = [];
  const expect = expecting(problems);
  const store = new RedisStore({ client: r, prefix: `s:${name}:`, ttl: 600 });
  const made = (user) => ({ cookie: new session.Cookie({ maxAge: 60000 }), user });
  await store.set('a', made('ann'));
  await store.set('b', made('bob'));
  expect('get', (await store.get('a')).user, 'ann');
  const ttl = await r.ttl(`s:${name}:a`);
  expect('ttl of the cookie', ttl > 50 && ttl <= 60, true);
  await store.touch('a', made('ann'));
  expect('length', await store.length(), 2);
  expect('ids', (await store.ids()).sort(), ['a', 'b']);
  expect('all', (await store.all()).map((s) => s.user).sort(), ['ann', 'bob']);
  await store.destroy('a');
  expect('destroy', (await store.get('a')) ?? null, null);
  await store.clear();
  expect('clear', await store.length(), 0);
  check(`connect-redis, ${name}`, problems);
}

async function caches(port, name) {
  const problems = [];
  const expect = expecting(problems);
  const { default: Keyv } = await import('keyv');
  const { default: KeyvRedis } = await import('@keyv/redis');
  const keyv = new Keyv(new KeyvRedis(`redis://127.0.0.1:${port}`), { namespace: `cache-${name}` });
  const failures = [];
  keyv.on('error', (error) => failures.push(error.message));
  await keyv.set('x', { n: 1 });
  expect('get', await keyv.get('x'), { n: 1 });
  await keyv.set('soon', 'gone', 50);
  expect('has', await keyv.has('soon'), true);
  await sleep(120);
  expect('after its time', (await keyv.get('soon')) ?? null, null);
  await keyv.set('y', [2]);
  expect('get of many', await keyv.get(['x', 'y']), [{ n: 1 }, [2]]);
  expect('delete', await keyv.delete('x'), true);
  await keyv.clear();
  expect('clear', (await keyv.get('y')) ?? null, null);
  expect('errors', failures, []);
  await keyv.disconnect();
  check(`@keyv/redis, ${name}`, problems);
}

async function transactions(r, io, name) {
  const problems = [];
  const expect = expecting(problems);
  await r.flushAll();
  expect('multi', await r.multi().set('k', '1').incr('k').get('k').exec(), ['OK', 2, '2']);
  expect('multi of types', await r.multi().hSet('h', 'f', 'v').sAdd('s', ['a', 'b']).rPush('l', 'x')
    .zAdd('z', { score: 1.5, value: 'm' }).expire('h', 100).exec(), [1, 2, 1, 1, 1]);
  expect('multi of reads', await r.multi().hGetAll('h').sCard('s').lRange('l', 0, -1).zScore('z', 'm').exec(),
    [{ f: 'v' }, 2, ['x'], 1.5]);
  let failed = null;
  try {
    await r.multi().set('t', 'text').incr('t').set('after', '1').exec();
  } catch (error) {
    failed = error.constructor.name;
  }
  expect('multi with an error', [failed, await r.get('after')], ['MultiErrorReply', '1']);
  await r.watch('k');
  await io.set('k', 'changed');
  let broken = null;
  try {
    await r.multi().set('k', 'lost').exec();
  } catch (error) {
    broken = error.constructor.name;
  }
  expect('watch, changed', [broken, await r.get('k')], ['WatchError', 'changed']);
  await r.watch('k');
  expect('watch, not changed', await r.multi().set('k', 'won').exec(), ['OK']);
  check(`node-redis with MULTI and WATCH, ${name}`, problems.splice(0));

  expect('multi', await io.multi().set('k', '1').incr('k').get('k').exec(),
    [[null, 'OK'], [null, 2], [null, '2']]);
  await io.watch('k');
  await r.set('k', 'changed');
  expect('watch, changed', await io.multi().set('k', 'lost').exec(), null);
  await io.watch('k');
  await io.unwatch();
  await r.set('k', 'again');
  expect('unwatch', await io.multi().get('k').exec(), [[null, 'again']]);
  const mixed = await io.multi().set('t', 'text').incr('t').get('t').exec();
  expect('multi with an error', [mixed[1][0].message, mixed[2]],
    ['ERR value is not an integer or out of range', [null, 'text']]);
  const piped = await io.pipeline().set('p', '1').multi().incr('p').exec().get('p').exec();
  expect('multi in a pipeline', piped[piped.length - 1], [null, '2']);
  check(`ioredis with MULTI and WATCH, ${name}`, problems);
}

// One step of an optimistic counter: reads, and writes if nobody else did.
async function step(counts, words) {
  try {
    counts[(await words()) ? 'done' : 'lost']++;
  } catch (error) {
    if (error.constructor.name === 'WatchError') counts.lost++;
    else if (REFUSED.test(error.message)) counts.refused++;
    else if (UNKNOWN.test(error.message)) counts.unknown++;
    else throw error;
    await sleep(5);
  }
}

async function whileANodeDies() {
  const victim = await connect(ports[0]);
  const [one, two] = [await connect(ports[1]), new Redis({ port: ports[2] })];
  const store = new RedisStore({ client: victim, prefix: 'kept:' });
  await store.set('session', { cookie: new session.Cookie({ maxAge: 600000 }), user: 'ann' });
  let goOn = false;
  readline.createInterface({ input: process.stdin }).on('line', () => { goOn = true; });
  console.log('midway');
  const counts = { done: 0, lost: 0, unknown: 0, refused: 0 };
  const nodeRedis = async () => {
    await one.watch('counter');
    const n = Number(await one.get('counter')) + 1;
    return one.multi().set('counter', String(n)).rPush('steps', String(n)).exec();
  };
  const ioredis = async () => {
    await two.watch('counter');
    const n = Number(await two.get('counter')) + 1;
    return two.multi().set('counter', n).rpush('steps', n).exec();
  };
  const run = async (words) => { while (!goOn) { await step(counts, words); await sleep(1); } };
  await Promise.all([run(nodeRedis), run(ioredis)]);
  const total = Number(await one.get('counter'));
  const steps = await one.lRange('steps', 0, -1);
  const inOrder = steps.every((text, i) => Number(text) === i + 1) && steps.length === total;
  check(`optimistic counters while a node dies: ${JSON.stringify(counts)}`,
    inOrder && counts.done > 20 && counts.done <= total && total <= counts.done + counts.unknown
      ? [] : [`the counter is ${total}, of ${steps.length} steps`]);
  let user;
  for (const deadline = Date.now() + 15000; Date.now() < deadline && user !== 'ann'; await sleep(50)) {
    user = await Promise.race([store.get('session'), sleep(2000)]).then((s) => s && s.user, (e) => e.message);
  }
  check('the session is there on the node that died', user === 'ann' ? [] : [String(user)]);
  victim.destroy();
  one.destroy();
  two.disconnect();
}

async function main() {
  for (const [at, name] of [[0, 'leader'], [1, 'follower']]) {
    const [r, io] = [await connect(ports[at]), new Redis({ port: ports[at] })];
    await transactions(r, io, name);
    await stores(r, name);
    await caches(ports[at], name);
    r.destroy();
    io.disconnect();
  }
  await whileANodeDies();
  console.log('done');
  process.exit(0);
}

main().catch((error) => { console.log(`not ok sessions: ${error.stack}`); process.exit(1); });
