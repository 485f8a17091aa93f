/** What `start.js` runs in processes of its own: prints how long import, the first and later starts took, ms. */
import { spread } from './measure.js';
import { policyText } from './policy.js';

const [format, plans] = process.argv.slice(2);
// There before the clock starts, as if it came from a file.
const text = policyText(Number(plans), format);

const start = performance.now();
const { Limitr } = await import('limitr');
const load = performance.now() - start;

async function begin() {
  const start = performance.now();
  const policy = await Limitr.new(text, format);
  const [ok, message] = policy.sync.valid();
  const took = performance.now() - start;
  if (!ok) throw new Error(message);
  policy.free();
  return took;
}
const first = await begin();
const later = [];
for (let time = 0; time < 20; time += 1) later.push(await begin());
console.log(JSON.stringify({ load, first, later: spread(later.slice(10)).median }));
