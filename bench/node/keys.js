/**
 * Customer ids in a random order that is the same on every run, walked round and round.
 *
 * They are the engine's benchmark's own (`bench/src/keys.rs`).
 */
export class Keys {
  #ids;
  #next = 0;

  constructor(total) {
    const order = Array.from({ length: total }, (_, number) => number);
    let state = 0x9e3779b97f4a7c15n;
    for (let end = total - 1; end > 0; end -= 1) {
      // xorshift64: the quality of a card shuffle is all that is needed.
      state = BigInt.asUintN(64, state ^ (state << 13n));
      state ^= state >> 7n;
      state = BigInt.asUintN(64, state ^ (state << 17n));
      const other = Number(state % BigInt(end + 1));
      [order[end], order[other]] = [order[other], order[end]];
    }
    this.#ids = order.map((number) => `customer-${number}`);
  }

  /** The id for the next call. */
  next() {
    const id = this.#ids[this.#next];
    this.#next = this.#next + 1 === this.#ids.length ? 0 : this.#next + 1;
    return id;
  }

  all() {
    return this.#ids;
  }
}
