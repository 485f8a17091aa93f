import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Store } from '../persist.js';
import type { Customer } from '../records.js';

/**
 * Keeps customers in a folder, a file each, and creates it when it is not there. A file is written whole or not at all:
 * to a temporary one, flushed to the disk, then renamed. For one process at a time.
 */
export function fileStore(folder: string): Store {
  // Ids may hold anything, also slashes and dots; a file's name is their bytes in hexadecimal, cut where it would be too
  // long and told apart by a hash.
  const path = async (id: string): Promise<string> => join(folder, `${await fileName(id)}.json`);
  return {
    async load() {
      await mkdir(folder, { recursive: true });
      const files = (await readdir(folder)).filter((file) => file.endsWith('.json'));
      return Promise.all(files.map(async (file): Promise<Customer> => JSON.parse(await readFile(join(folder, file), 'utf8'))));
    },
    async save(customers) {
      await mkdir(folder, { recursive: true });
      for (const customer of customers) {
        const target = await path(customer.id);
        const temporary = `${target}.tmp`;
        const file = await open(temporary, 'w');
        try {
          await file.writeFile(JSON.stringify(customer));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, target);
      }
    },
    async remove(ids) {
      for (const id of ids) await rm(await path(id), { force: true });
    },
  };
}

const LONGEST = 100;

async function fileName(id: string): Promise<string> {
  const bytes = new TextEncoder().encode(id);
  const hex = (data: Uint8Array): string => [...data].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (bytes.length <= LONGEST) return hex(bytes);
  return `h${hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))}`;
}
