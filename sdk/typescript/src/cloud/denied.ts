/** What is answered while calls must not go ahead for want of a connection. */
import { LimitrError } from '../errors.js';
import type { Explanation } from '../records.js';
import type { Named, Remote } from '../remote.js';

const USES = new Set(['allow', 'check', 'check_increment', 'explain', 'increment', 'reserve', 'set']);
const GIVES_BACK = new Set(['check_decrement', 'decrement']);
const EDITS = new Set(['delete_plan', 'replace', 'set_capabilities', 'set_notifications', 'set_plan']);

/**
 * The answer to an operation that is denied; undefined for one that may be run. What has happened already is never denied:
 * what is forced, settled or released.
 */
export function denied(verb: string, named: Named, { denies, full }: Remote): { answer: unknown } | undefined {
  const no = (USES.has(verb) && denies) || (GIVES_BACK.has(verb) && full);
  if (!no || named['force'] === true) return undefined;
  if (verb === 'explain') return { answer: disconnected(full) };
  return { answer: verb === 'reserve' ? null : false };
}

/** What {@link SyncLimitr.explain} says meanwhile. */
export function disconnected(full: boolean): Explanation {
  const found = full ? 'too much waits to be sent to the server' : 'there is no connection to the server';
  return {
    allowed: false,
    reason: 'disconnected',
    metered: 0,
    overage: 0,
    covered: 0,
    steps: [{ rule: 'connection', found }],
  };
}

/** @throws {@link LimitrError} for an operation on the policy, which is the server's. */
export function refuseEdits(verb: string): void {
  if (!EDITS.has(verb)) return;
  throw new LimitrError(`the policy is kept by the server: \`${verb}\` cannot change it here`, {
    code: 'kept_by_server',
    path: verb,
    hint: 'publish another version at the server',
  });
}
