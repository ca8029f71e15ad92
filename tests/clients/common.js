// What the two JavaScript clients share: the table of commands and the test while a node dies.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const ports = process.argv.slice(2).map(Number);
const id = `${path.basename(process.argv[1], '.js')}-${process.pid}-`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function check(name, problems) {
  const text = problems.length ? `not ok ${name}: ${problems.join('; ').slice(0, 2000)}` : `ok ${name}`;
  console.log(text.replace(/\r?\n/g, ' '));
}

// A map may come as an object (with or without a prototype), a Map, or a flat array (RESP2).
function toObject(value) {
  if (value instanceof Map) return Object.fromEntries(value);
  if (!Array.isArray(value)) return { ...value };
  const out = {};
  for (let i = 0; i < value.length; i += 2) out[value[i]] = value[i + 1];
  return out;
}

function matches(expected, actual) {
  if (expected === null) return actual === null;
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length
      && expected.every((e, i) => matches(e, actual[i]));
  }
  if (typeof expected !== 'object') return actual === expected;
  if ('error' in expected) return actual instanceof Error && actual.message.startsWith(expected.error);
  if ('like' in expected) return typeof actual === 'string' && actual.includes(expected.like);
  if ('map' in expected) {
    return JSON.stringify(toObject(actual)) === JSON.stringify(expected.map);
  }
  switch (expected.type) {
    case 'string': return typeof actual === 'string';
    case 'integer': return typeof actual === 'number';
    case 'array': return Array.isArray(actual);
    case 'map': return actual !== null && typeof actual === 'object' && Object.keys(toObject(actual)).length > 0;
    default: throw new Error(`no type ${expected.type}`);
  }
}

// `call` takes the words of a command and gives a promise of its reply.
async function table(call, name) {
  const rows = JSON.parse(fs.readFileSync(path.join(__dirname, 'commands.json')));
  const problems = [];
  for (const [template, expected] of rows) {
    const words = template.map((word) => word.replace('$ID', id + name.replace(/\W/g, '-')));
    let actual;
    try {
      actual = await call(words);
    } catch (error) {
      actual = error;
    }
    if (!matches(expected, actual)) {
      const got = actual instanceof Error ? actual.message : JSON.stringify(actual);
      problems.push(`${words.join(' ')}: expected ${JSON.stringify(expected)}, got ${String(got).slice(0, 200)}`);
    }
  }
  check(`every command, ${name}`, problems);
}

// A node dies and comes back: see `run`.
async function midway({ victim, other, counting }) {
  await victim(['SET', 'survivor', 'before']);
  let goOn = false;
  readline.createInterface({ input: process.stdin }).on('line', () => { goOn = true; });
  console.log('midway');
  let acked = 0, unknown = 0, refused = 0, once = 0;
  const count = async () => {
    while (!goOn) {
      try {
        await counting(['INCR', 'loop']);
        acked++;
      } catch (error) {
        if (/was not executed/.test(error.message)) refused++;
        else if (/may or may not have been executed|onnection|ECONN|retries|closed/i.test(error.message)) unknown++;
        else { check('INCR while a node dies', [error.stack]); return; }
        await sleep(5);
      }
      await sleep(1);
    }
  };
  const exactly = async () => {
    while (!goOn) {
      once++;
      for (let done = false, through = victim; !done; through = through === victim ? other : victim) {
        const words = ['ONCE', `${id}loop`, String(once), 'INCR', 'once'];
        try {
          // A library may keep a command for as long as the node is away.
          await Promise.race([through(words), sleep(300).then(() => { throw new Error('late'); })]);
          done = true;
        } catch (error) {
          await sleep(5);
        }
      }
    }
  };
  await Promise.all([count(), exactly()]);
  let total = Number(await other(['GET', 'loop']));
  check(`INCR while a node dies: ${acked} acknowledged, ${unknown} unknown, ${refused} not done`,
    acked <= total && total <= acked + unknown && acked > 20 ? [] : [`the counter is ${total}`]);
  total = Number(await other(['GET', 'once']));
  check(`ONCE while a node dies: ${once} requests`, total === once ? [] : [`the counter is ${total}`]);
  let value;
  for (const deadline = Date.now() + 15000; Date.now() < deadline; await sleep(50)) {
    try {
      value = await Promise.race([victim(['GET', 'survivor']), sleep(2000).then(() => 'no reply')]);
    } catch (error) {
      value = error.message;
    }
    if (value === 'before') break;
  }
  check('the connection to the node that died works again', value === 'before' ? [] : [String(value)]);
}

// After some work: `over` is set when the leader has died and is back.
function leaderDies() {
  const death = { over: false };
  readline.createInterface({ input: process.stdin })
    .on('line', () => { death.over = true; })
    .on('close', () => process.exit(1)); // nobody listens any more
  setTimeout(() => console.log('midway'), 500);
  return death;
}

// Whether there is an answer or none, and what was done or not: with resending off, ioredis says so.
const NOT_DONE = /was not executed/;
const UNKNOWN = /may or may not have been executed|onnection|ECONN|retries|closed/i;

module.exports = { check, table, midway, leaderDies, NOT_DONE, UNKNOWN, ports, sleep };
