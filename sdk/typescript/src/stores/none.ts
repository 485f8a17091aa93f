import { LimitrError } from '../errors.js';
import type { Store } from '../persist.js';

/** There are no files here; use another store. */
export function fileStore(_folder: string): Store {
  throw new LimitrError('this runtime has no files: use another store', { code: 'no_files' });
}
