import { LimitrValueError } from './errors.js';

/** How much: a finite number, or text with a unit such as `"1.5GB"`. */
export type Amount = number | string;

/** A name or an id: well-formed text, so that no two names become one on their way into the engine. */
export function text(value: unknown, what: string): string {
  if (typeof value !== 'string') {
    throw new LimitrValueError(`\`${what}\` must be a string, got ${kindOf(value)}`, { code: 'invalid_argument', path: what });
  }
  if (!isWellFormed(value)) {
    const message = `\`${what}\` is not well-formed text: it holds half of a surrogate pair`;
    throw new LimitrValueError(message, { code: 'invalid_argument', path: what });
  }
  return value;
}

/** A finite number. */
export function finite(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const got = typeof value === 'number' ? String(value) : kindOf(value);
  throw new LimitrValueError(`\`${what}\` must be a finite number, got ${got}`, { code: 'invalid_value', path: what });
}

/** A finite number, or text for the engine to read a number and a unit from. */
export function amount(value: unknown, what: string): Amount {
  return typeof value === 'string' ? text(value, what) : finite(value, what);
}

/** A flag. */
export function flag(value: unknown, what: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new LimitrValueError(`\`${what}\` must be true or false, got ${kindOf(value)}`, { code: 'invalid_argument', path: what });
}

/** An object with named fields, not a list. */
export function record(value: unknown, what: string): Record<string, unknown> {
  if (isRecord(value)) return value;
  throw new LimitrValueError(`\`${what}\` must be an object, got ${kindOf(value)}`, { code: 'invalid_argument', path: what });
}

/** A list of texts. */
export function texts(value: unknown, what: string): string[] {
  if (!Array.isArray(value)) {
    throw new LimitrValueError(`\`${what}\` must be an array of strings`, { code: 'invalid_argument', path: what });
  }
  return value.map((item: unknown, index) => text(item, `${what}[${index}]`));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON text of data that JSON can hold. What JSON would drop or turn into null is refused. */
export function json(data: unknown, what: string): string {
  const refuse = (key: string, got: string): never => {
    const path = key === '' ? what : key;
    throw new LimitrValueError(`\`${path}\` cannot be given to the engine: it is ${got}`, { code: 'invalid_value', path });
  };
  const check = (key: string, value: unknown): unknown => {
    if (!isWellFormed(key)) return refuse(what, 'an object with a key that holds half of a surrogate pair');
    switch (typeof value) {
      case 'string':
        return isWellFormed(value) ? value : refuse(key, 'text that holds half of a surrogate pair');
      case 'number':
        return Number.isFinite(value) ? value : refuse(key, String(value));
      case 'bigint':
      case 'symbol':
      case 'function':
        return refuse(key, kindOf(value));
      default:
        return value;
    }
  };
  try {
    return JSON.stringify(data, check) ?? refuse('', 'undefined');
  } catch (error) {
    if (error instanceof LimitrValueError) throw error;
    const message = `\`${what}\` cannot be written as JSON: ${error instanceof Error ? error.message : String(error)}`;
    throw new LimitrValueError(message, { code: 'invalid_value', path: what, cause: error });
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'undefined':
      return 'undefined';
    case 'bigint':
      return 'a BigInt';
    case 'object':
      return 'an object';
    default:
      return `a ${typeof value}`;
  }
}

const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

const isWellFormed: (value: string) => boolean =
  'isWellFormed' in String.prototype
    ? (value) => (value as string & { isWellFormed(): boolean }).isWellFormed()
    : (value) => !LONE_SURROGATE.test(value);
