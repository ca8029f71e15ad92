// Messages of ioredis while the leader dies: who subscribed on a node that lives hears every message
// that was answered, once, and all hear the same order; who has to subscribe again hears all from
// then on.  See `run` for the words that are exchanged with the runner.
'use strict';
const Redis = require('ioredis');
const { check, leaderDies, NOT_DONE, UNKNOWN, ports, sleep } = require('./common.js');

// What it heard, in one part for each connection that it had.
async function subscriber(port, pattern) {
  const client = new Redis({ port, host: '127.0.0.1' });
  const parts = [[]];
  client.on('error', () => {}); // a node dies
  client.on('close', () => parts.push([]));
  client.on(pattern ? 'pmessage' : 'message', (...words) => parts[parts.length - 1].push(words[words.length - 1]));
  await (pattern ? client.psubscribe('ro*') : client.subscribe('room'));
  return parts;
}

async function publish(port, name, death, acked, counts) {
  const client = new Redis({ port, host: '127.0.0.1', autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 });
  client.on('error', () => {});
  for (let n = 0; !death.over || n < 20; n++) {
    try {
      await client.publish('room', `${name}-${n}`);
      acked.push(`${name}-${n}`);
    } catch (error) {
      if (!NOT_DONE.test(error.message) && !UNKNOWN.test(error.message)) throw error;
      counts.failed++;
      await sleep(5);
    }
    await sleep(1);
  }
}

// Where a part stands in the whole order without a gap; -1: nowhere.
function placeOf(part, whole) {
  const at = whole.indexOf(part[0]);
  return at >= 0 && part.every((text, i) => whole[at + i] === text) ? at : -1;
}

async function main() {
  const [whole] = await subscriber(ports[1]); // its one connection lives
  const others = [await subscriber(ports[1], true), await subscriber(ports[2]), await subscriber(ports[0])];
  const victim = others[2];
  const acked = [];
  const counts = { failed: 0 };
  const death = leaderDies();
  await Promise.all(ports.map((port, i) => publish(port, `p${i}`, death, acked, counts)));
  for (const deadline = Date.now() + 15000; Date.now() < deadline && victim[victim.length - 1].length === 0;) {
    await publish(ports[1], `late${Date.now()}`, { over: true }, acked, counts);
  }
  await publish(ports[2], 'last', { over: true }, acked, counts);
  await sleep(100);
  const heard = new Set(whole);
  check(`every message is heard, ${acked.length} answered, ${counts.failed} failed`,
    acked.length > 100 ? acked.filter((text) => !heard.has(text)) : [`${acked.length} messages`]);
  check('no message is heard twice', heard.size === whole.length ? [] : [`${whole.length} for ${heard.size}`]);
  const inOrder = ports.every((_, i) => {
    const numbers = whole.filter((text) => text.startsWith(`p${i}-`)).map((text) => Number(text.split('-')[1]));
    return numbers.every((n, j) => j === 0 || numbers[j - 1] < n);
  });
  check("a publisher's messages keep their order", inOrder ? [] : ['they do not']);
  check('all hear one order', others.slice(0, 2)
    .filter((parts) => JSON.stringify(parts[0]) !== JSON.stringify(whole))
    .map((parts) => `${parts[0].length} of ${whole.length}, in ${parts.length} parts`));
  const last = victim[victim.length - 1];
  check('who subscribed again hears all from then on',
    victim.filter((part) => part.length > 0).every((part) => placeOf(part, whole) >= 0)
      && last.length > 0 && last[last.length - 1] === whole[whole.length - 1]
      ? [] : [`${victim.map((part) => part.length)} of ${whole.length}`]);
  console.log('done');
  process.exit(0);
}

main().catch((error) => { console.log(`not ok pubsub: ${error.stack}`); process.exit(1); });
