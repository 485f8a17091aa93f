/** Samples in a page that was saved as text: nothing marks them but their first and last lines. */
import { readFileSync } from 'node:fs';

export interface Place {
  /** A line before the sample. */
  under: string;
  first: string;
  /** Its last line, or lines where one is not enough to know it by. */
  last: string | string[];
}

export class Page {
  readonly #lines: string[];
  readonly #taken = new Set<number>();

  constructor(url: URL) {
    this.#lines = readFileSync(url, 'utf8').split('\n');
  }

  /** The lines of a sample, or of what it prints. They count as covered. */
  take({ under, first, last }: Place): string[] {
    const heading = this.#find([under], 0);
    const from = this.#find([first], heading + 1);
    const ending = typeof last === 'string' ? [last] : last;
    const to = this.#find(ending, from) + ending.length - 1;
    for (let line = from; line <= to; line++) this.#taken.add(line);
    return this.#lines.slice(from, to + 1);
  }

  /** Lines that look like code and belong to no sample taken. */
  uncovered(): string[] {
    return this.#lines.filter((line, index) => !this.#taken.has(index) && looksLikeCode(line));
  }

  #find(wanted: string[], from: number): number {
    for (let at = from; at < this.#lines.length; at++) {
      if (wanted.every((line, offset) => this.#lines[at + offset] === line)) return at;
    }
    throw new Error(`after line ${from} the page has no\n${wanted.join('\n')}`);
  }
}

const STATEMENT =
  /^\s*(import|export|const|let|var|await|return|if|for|while|function|async|throw|process|policy)\b.*[({=;]/;
const CALL = /^\s*[A-Za-z_.]+\(.*[;{(,]$/;
const CLOSING = /^\s*[)}\]]+[;,)]*$/;

function looksLikeCode(line: string): boolean {
  return [STATEMENT, CALL, CLOSING, /^\s*\/\//, /[;{]$/].some((pattern) => pattern.test(line));
}
