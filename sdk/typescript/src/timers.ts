/** A timer of this runtime. */
export type Timer = ReturnType<typeof setTimeout>;

/** Runs something later, unless the program has nothing else to do: this alone does not keep it alive. */
export function later(ms: number, run: () => void): Timer {
  const timer = setTimeout(run, ms);
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
