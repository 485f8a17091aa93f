import type { Store } from '../persist.js';
import type { Customer } from '../records.js';

/** What is asked of a PostgreSQL client or pool; those of `pg` have it. */
export interface PostgresPool {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/**
 * Keeps customers in a table of PostgreSQL, a row each, and creates it when it is not there.
 *
 * @param table - Its name, with a schema where there is one: letters, digits, `_` and one `.`.
 */
export function postgresStore(pool: PostgresPool, table = 'limitr_customers'): Store {
  if (!/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$/.test(table)) throw new TypeError(`\`${table}\` cannot be a table's name`);
  const name = table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
  let created: Promise<unknown> | undefined;
  const ready = (): Promise<unknown> =>
    (created ??= pool
      .query(`CREATE TABLE IF NOT EXISTS ${name} (id text PRIMARY KEY, record json NOT NULL)`)
      .catch((error: unknown) => {
        created = undefined;
        throw error;
      }));
  return {
    async load() {
      await ready();
      // As text: the driver's own JSON reader would be another one.
      const { rows } = await pool.query(`SELECT record::text AS record FROM ${name}`);
      return rows.map((row): Customer => JSON.parse((row as { record: string }).record));
    },
    async save(customers) {
      await ready();
      const ids = customers.map((customer) => customer.id);
      const records = customers.map((customer) => JSON.stringify(customer));
      await pool.query(
        `INSERT INTO ${name} (id, record) SELECT * FROM unnest($1::text[], $2::json[])
         ON CONFLICT (id) DO UPDATE SET record = excluded.record`,
        [ids, records],
      );
    },
    async remove(ids) {
      await ready();
      await pool.query(`DELETE FROM ${name} WHERE id = ANY($1::text[])`, [ids]);
    },
  };
}
