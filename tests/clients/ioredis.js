// ioredis with its defaults: RESP3, its ready check by INFO, its own reconnecting and resending.
// See `run` for the words that are exchanged with the runner.
'use strict';
const Redis = require('ioredis');
const { check, table, midway, ports } = require('./common.js');

const connect = (port, options) => {
  const client = new Redis({ port, host: '127.0.0.1', ...options });
  client.on('error', () => {}); // a node dies: the commands' own errors are what counts
  return client;
};

async function api(r, name) {
  const problems = [];
  const expect = (what, actual, expected) => {
    if (JSON.stringify(actual) !== JSON.stringify(expected)) {
      problems.push(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
    }
  };
  expect('flushall', await r.flushall(), 'OK');
  expect('set', await r.set('k', 'v'), 'OK');
  expect('set nx', await r.set('k', 'v', 'NX'), null);
  expect('set get', await r.set('k', 'w', 'GET'), 'v');
  expect('get', await r.get('k'), 'w');
  expect('setnx', await r.setnx('k', 'v'), 0);
  expect('getset', await r.getset('k', 'v'), 'w');
  expect('mset', await r.mset({ a: 1, b: 2 }), 'OK');
  expect('mget', await r.mget('a', 'none', 'b'), ['1', null, '2']);
  expect('msetnx', await r.msetnx('a', 1, 'c', 2), 0);
  expect('incr', await r.incr('n'), 1);
  expect('incrby', await r.incrby('n', 9), 10);
  expect('decr', await r.decr('n'), 9);
  expect('decrby', await r.decrby('n', 2), 7);
  expect('incrbyfloat', await r.incrbyfloat('n', 0.25), '7.25');
  expect('append', await r.append('k', 'x'), 2);
  expect('strlen', await r.strlen('k'), 2);
  expect('getrange', await r.getrange('k', 0, 0), 'v');
  expect('setrange', await r.setrange('k', 1, 'yz'), 3);
  expect('getdel', await r.getdel('k'), 'vyz');
  expect('exists', await r.exists('a', 'none'), 1);
  expect('touch', await r.touch('a', 'b'), 2);
  expect('type', await r.type('a'), 'string');
  expect('rename', await r.rename('a', 'a2'), 'OK');
  expect('renamenx', await r.renamenx('a2', 'b'), 0);
  expect('keys', (await r.keys('*')).sort(), ['a2', 'b', 'n']);
  expect('dbsize', await r.dbsize(), 3);
  const seen = [];
  for await (const keys of r.scanStream({ count: 1 })) seen.push(...keys);
  expect('scanStream', seen.sort(), ['a2', 'b', 'n']);
  expect('randomkey', ['a2', 'b', 'n'].includes(await r.randomkey()), true);
  expect('del', await r.del('a2', 'b'), 2);
  expect('unlink', await r.unlink('n'), 1);
  expect('ping', await r.ping(), 'PONG');
  expect('echo', await r.echo('e'), 'e');
  expect('client setname', await r.client('SETNAME', 'me'), 'OK');
  expect('client getname', await r.client('GETNAME'), 'me');
  expect('info', (await r.info()).includes('loading:0'), true);
  expect('time', Math.abs((await r.time())[0] - Date.now() / 1000) < 5, true);
  expect('role', ['master', 'slave'].includes((await r.role())[0]), true);
  const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  await r.set(every, every);
  expect('binary', (await r.getBuffer(every)).equals(every), true);
  const pipeline = r.pipeline();
  for (let i = 0; i < 500; i++) pipeline.set(`p${i}`, i).get(`p${i}`).incr('pn');
  const replies = await pipeline.exec();
  const wanted = [];
  for (let i = 0; i < 500; i++) wanted.push([null, 'OK'], [null, String(i)], [null, i + 1]);
  expect('pipeline', JSON.stringify(replies) === JSON.stringify(wanted), true);
  const mixed = await r.pipeline().set('t', 'text').incr('t').get('t').exec();
  expect('pipeline with an error', [mixed[0][1], mixed[1][0] && mixed[1][0].message, mixed[2][1]],
    ['OK', 'ERR value is not an integer or out of range', 'text']);
  check(`the library's own methods, ${name}`, problems);
}

async function main() {
  const call = (r) => (words) => r.call(words[0], ...words.slice(1));
  for (const [at, name] of [[0, 'leader'], [1, 'follower']]) {
    const r = connect(ports[at]);
    await table(call(r), name);
    await api(r, name);
    r.disconnect();
  }
  const two = connect(ports[1], { protocol: 2 });
  await table(call(two), 'follower, RESP2');
  two.disconnect();

  const victim = connect(ports[0]);
  const other = connect(ports[1]);
  // ioredis sends a command again when its connection broke: an INCR may be done twice, as with
  // Redis.  Off for the counting; ONCE is the answer, and is counted with it on.
  const counting = connect(ports[1], { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 });
  await midway({
    victim: call(victim), other: call(other), counting: call(counting),
  });
  victim.disconnect();
  other.disconnect();
  counting.disconnect();

  for (const [at, name] of [[0, 'restarted node'], [2, 'third node']]) {
    const r = connect(ports[at]);
    await table(call(r), name);
    r.disconnect();
  }
  console.log('done');
  process.exit(0);
}

main().catch((error) => { console.log(`not ok ioredis: ${error.stack}`); process.exit(1); });
