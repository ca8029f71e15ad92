// node-redis with its defaults (RESP3) and in RESP2.  See `run` for the words that are exchanged
// with the runner.
'use strict';
const { createClient } = require('redis');
const { check, table, midway, ports } = require('./common.js');

async function connect(port, options) {
  const client = createClient({
    ...options,
    socket: { port, host: '127.0.0.1', reconnectStrategy: 50, ...(options && options.socket) },
  });
  client.on('error', () => {}); // a node dies: the commands' own errors are what counts
  await client.connect();
  return client;
}

async function api(r, name) {
  const problems = [];
  const expect = (what, actual, expected) => {
    if (JSON.stringify(actual) !== JSON.stringify(expected)) {
      problems.push(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
    }
  };
  expect('flushAll', await r.flushAll(), 'OK');
  expect('set', await r.set('k', 'v'), 'OK');
  expect('set nx', await r.set('k', 'v', { condition: 'NX' }), null);
  expect('set get', await r.set('k', 'w', { GET: true }), 'v');
  expect('get', await r.get('k'), 'w');
  expect('setNX', await r.setNX('k', 'v'), 0);
  expect('getSet', await r.getSet('k', 'v'), 'w');
  expect('mSet', await r.mSet({ a: '1', b: '2' }), 'OK');
  expect('mGet', await r.mGet(['a', 'none', 'b']), ['1', null, '2']);
  expect('mSetNX', await r.mSetNX({ a: '1', c: '2' }), 0);
  expect('incr', await r.incr('n'), 1);
  expect('incrBy', await r.incrBy('n', 9), 10);
  expect('decr', await r.decr('n'), 9);
  expect('decrBy', await r.decrBy('n', 2), 7);
  expect('incrByFloat', await r.incrByFloat('n', 0.25), '7.25');
  expect('append', await r.append('k', 'x'), 2);
  expect('strLen', await r.strLen('k'), 2);
  expect('getRange', await r.getRange('k', 0, 0), 'v');
  expect('setRange', await r.setRange('k', 1, 'yz'), 3);
  expect('getDel', await r.getDel('k'), 'vyz');
  expect('exists', await r.exists(['a', 'none']), 1);
  expect('touch', await r.touch(['a', 'b']), 2);
  expect('type', await r.type('a'), 'string');
  expect('rename', await r.rename('a', 'a2'), 'OK');
  expect('renameNX', await r.renameNX('a2', 'b'), 0);
  expect('keys', (await r.keys('*')).sort(), ['a2', 'b', 'n']);
  expect('dbSize', await r.dbSize(), 3);
  const seen = [];
  for await (const keys of r.scanIterator({ COUNT: 1 })) seen.push(...[].concat(keys));
  expect('scanIterator', seen.sort(), ['a2', 'b', 'n']);
  expect('randomKey', ['a2', 'b', 'n'].includes(await r.randomKey()), true);
  if (r.delEx) {
    await r.set('dx', 'v');
    expect('delEx', await r.delEx('dx', { condition: 'IFEQ', matchValue: 'v' }), 1);
  }
  expect('del', await r.del(['a2', 'b']), 2);
  expect('unlink', await r.unlink('n'), 1);
  expect('ping', await r.ping(), 'PONG');
  expect('echo', await r.echo('e'), 'e');
  expect('clientSetName', await r.clientSetName('me'), 'OK');
  expect('clientGetName', await r.clientGetName(), 'me');
  expect('clientId', Number.isInteger(await r.clientId()), true);
  expect('clientInfo', (await r.clientInfo()).name, 'me');
  expect('clientList', (await r.clientList()).some((c) => c.name === 'me'), true);
  expect('configGet', { ...await r.configGet('maxmemory-p*') }, { 'maxmemory-policy': 'noeviction' });
  expect('configSet', await r.configSet('timeout', '0'), 'OK');
  expect('configResetStat', await r.configResetStat(), 'OK');
  expect('commandCount', (await r.commandCount()) > 50, true);
  expect('command', (await r.command()).some((c) => c.name === 'get'), true);
  expect('commandGetKeys', await r.commandGetKeys(['MSET', 'x', '1', 'y', '2']), ['x', 'y']);
  expect('commandList', (await r.commandList()).includes('get'), true);
  expect('info', (await r.info()).includes('loading:0'), true);
  expect('role', ['master', 'slave'].includes((await r.role()).role), true);
  expect('time', (await r.time()) !== null, true);
  const batch = [];
  const wanted = [];
  for (let i = 0; i < 500; i++) {
    batch.push(r.set(`p${i}`, String(i)), r.get(`p${i}`), r.incr('pn'));
    wanted.push('OK', String(i), i + 1);
  }
  expect('pipeline', JSON.stringify(await Promise.all(batch)) === JSON.stringify(wanted), true);
  const mixed = await Promise.allSettled([r.set('t', 'text'), r.incr('t'), r.get('t')]);
  expect('pipeline with an error', [mixed[0].value, mixed[1].reason && mixed[1].reason.message, mixed[2].value],
    ['OK', 'ERR value is not an integer or out of range', 'text']);
  check(`the library's own methods, ${name}`, problems);
}

async function main() {
  const call = (r) => (words) => r.sendCommand(words);
  for (const [at, name, options] of [[0, 'leader'], [1, 'follower'], [1, 'follower, RESP2', { RESP: 2 }]]) {
    const r = await connect(ports[at], options);
    await table(call(r), name);
    await api(r, name);
    await r.close();
  }
  const victim = await connect(ports[0]);
  const other = await connect(ports[1]);
  const counting = await connect(ports[1], { disableOfflineQueue: true });
  await midway({ victim: call(victim), other: call(other), counting: call(counting) });
  for (const r of [victim, other, counting]) r.destroy();
  for (const [at, name] of [[0, 'restarted node'], [2, 'third node']]) {
    const r = await connect(ports[at]);
    await table(call(r), name);
    await r.close();
  }
  console.log('done');
  process.exit(0);
}

main().catch((error) => { console.log(`not ok node-redis: ${error.stack}`); process.exit(1); });
