/** The rows and how they are printed: as in the engine's benchmark (`bench/src/table.rs`). */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const ROUND = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export class Table {
  #rows = [];
  #group = '';
  #reference;

  /** Begins a group; the ratios of its rows are to its reference, once that is measured. */
  group(name) {
    this.#group = name;
    this.#reference = undefined;
  }

  /** The row that the others of the group are compared with. */
  reference(name, spread) {
    this.#reference = spread.median;
    this.time(name, spread);
  }

  /** Nanoseconds per call; `target` is what the median is to stay within, ns. */
  time(name, spread, target) {
    const ratio = this.#reference === undefined ? undefined : spread.median / this.#reference;
    this.#push(name, { unit: 'ns/call', ...spread, ratio, ...judged(spread.median, target) });
  }

  /** Any other number, with its unit. */
  figure(name, value, unit, target) {
    this.#push(name, { unit, value, ...judged(value, target) });
  }

  /** Why it was not measured. */
  skipped(name, why) {
    this.#push(name, { skipped: why });
  }

  #push(name, result) {
    // Measuring takes minutes: say where it is.
    process.stderr.write(`${this.#group}: ${name}\n`);
    this.#rows.push({ group: this.#group, name, ...result });
  }

  toText() {
    const lines = [
      Object.values(machine()).join(', '),
      '',
      columns('ns per call', 'p10', 'median', 'p90', 'calls/s', 'ratio', 'target'),
    ];
    let group = '';
    for (const row of this.#rows) {
      if (row.group !== group) lines.push('', row.group);
      group = row.group;
      lines.push(line(row));
    }
    return lines.join('\n');
  }

  toJson() {
    return { machine: machine(), rows: this.#rows };
  }
}

function judged(value, target) {
  return target === undefined ? {} : { target, met: value <= target };
}

function line(row) {
  const name = `  ${row.name}`;
  const target = row.target === undefined ? '' : `${ROUND.format(row.target)} ${row.met ? 'met' : 'missed'}`;
  if (row.skipped !== undefined) return `${name.padEnd(48)} not measured: ${row.skipped}`;
  if (row.unit === 'ns/call') {
    const times = [row.p10, row.median, row.p90].map((time) => ROUND.format(time));
    const ratio = row.ratio === undefined ? '' : `${row.ratio.toFixed(2)}x`;
    return columns(name, ...times, ROUND.format(1e9 / row.median), ratio, target);
  }
  const value = Math.abs(row.value) < 100 ? row.value.toFixed(3) : ROUND.format(row.value);
  return `${columns(name, '', value).trimEnd()} ${row.unit}${target === '' ? '' : `, target ${target}`}`;
}

function columns(name, p10, median, p90 = '', rate = '', ratio = '', target = '') {
  const numbers = [p10.padStart(9), median.padStart(11), p90.padStart(9), rate.padStart(11), ratio.padStart(8)];
  return `${name.padEnd(48)}${numbers.join('')}${target.padStart(15)}`.trimEnd();
}

/** What the numbers were measured on. */
function machine() {
  let cpu = 'unknown cpu';
  try {
    cpu = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? cpu;
  } catch {
    // Not Linux.
  }
  return { cpu, cores: `${availableParallelism()} cores`, node: `node ${process.version}, V8 ${process.versions.v8}` };
}
