/** What `memory.js` runs in a process of its own, with `--expose-gc`: prints its memory before and after many calls. */
import { Keys } from './keys.js';
import { CUSTOMERS, policyText } from './policy.js';

// The package shows nobody its memory: it is caught when the module is instantiated.
let memory;
const { Instance } = WebAssembly;
WebAssembly.Instance = function (...given) {
  const instance = new Instance(...given);
  memory ??= instance.exports.memory;
  return instance;
};
const { Limitr } = await import('limitr');

const [handler, calls] = process.argv.slice(2);
const policy = await Limitr.new(policyText(1));
const { sync } = policy;
const keys = new Keys(CUSTOMERS);
for (const key of keys.all()) sync.createCustomer(key, 'plan-0');
sync.createCustomer('spent', 'spent');
if (handler === 'handler') policy.addHandler('bench', (_key, value) => JSON.parse(value));

async function make(count) {
  for (let call = 0; call < count; call += 10) {
    for (let time = 0; time < 4; time += 1) sync.allow(keys.next(), 'chat', 1);
    for (let time = 0; time < 3; time += 1) await policy.allow(keys.next(), 'images', 1);
    sync.check(keys.next(), 'search', 1);
    sync.remaining(keys.next(), 'chat');
    sync.allow('spent', 'chat', 1);
  }
}

function now() {
  globalThis.gc();
  globalThis.gc();
  const { rss, heapUsed } = process.memoryUsage();
  return { wasm: memory.buffer.byteLength, rss, heap: heapUsed };
}

// Every customer's first calls may still grow what it keeps, and V8 its young generation and its code: not a leak.
await make(Math.min(Number(calls), 500_000));
const start = now();
await make(Number(calls));
console.log(JSON.stringify({ start, end: now() }));
