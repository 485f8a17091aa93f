/** The measuring loop: batches of about 20 ms until there are enough calls, their median and spread. */

export const FULL = { batchMs: 20, samples: 31, calls: 1_000_000, mostMs: 5_000 };
/** Enough to see that everything runs, and the order of magnitude. */
export const QUICK = { batchMs: 5, samples: 7, calls: 0, mostMs: 1_000 };

/** Nanoseconds per call of what answers at once. */
export async function measure(effort, operation) {
  return sampled(effort, async (count) => runSync(count, operation));
}

/** Nanoseconds per call of what answers with a promise, awaited one by one. */
export async function measureAwaited(effort, operation) {
  return sampled(effort, (count) => runAwaited(count, operation));
}

async function sampled(effort, run) {
  // Warm-up: the compiler, caches, clock speed. It becomes faster, so that a batch is measured again after it.
  const cold = await calibrate(effort.batchMs, run);
  for (let batch = 0; batch < 5; batch += 1) await run(cold);
  const count = await calibrate(effort.batchMs, run);
  const samples = [];
  const start = performance.now();
  const enough = () => samples.length >= effort.samples && samples.length * count >= effort.calls;
  while (!enough() && (samples.length < 3 || performance.now() - start < effort.mostMs)) {
    samples.push(((await run(count)) * 1e6) / count);
  }
  return { ...spread(samples), calls: samples.length * count };
}

/** How many calls fill one batch. */
async function calibrate(batchMs, run) {
  for (let count = 1; ; count *= 2) {
    const took = await run(count);
    if (took >= batchMs / 10) return Math.max(1, Math.floor((count * batchMs) / took));
  }
}

export function spread(samples) {
  const sorted = [...samples].sort((one, two) => one - two);
  const at = (share) => sorted[Math.round((sorted.length - 1) * share)];
  return { p10: at(0.1), median: at(0.5), p90: at(0.9) };
}

/** What operations answer is kept here, so that no compiler finds that nobody needs it. */
let kept;

function runSync(count, operation) {
  const start = performance.now();
  for (let call = 0; call < count; call += 1) kept = operation();
  return performance.now() - start;
}

async function runAwaited(count, operation) {
  const start = performance.now();
  for (let call = 0; call < count; call += 1) kept = await operation();
  return performance.now() - start;
}

