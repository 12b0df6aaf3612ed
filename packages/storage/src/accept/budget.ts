import { StorageFullError } from '../errors.ts';

/** Room for what is accepted, reserved before a byte is written. */
export class Budget {
  readonly #limits: { maxBytes: number; maxPending: number; maxObjectBytes: number };
  #bytes = 0;
  #operations = 0;

  constructor(limits: { maxBytes: number; maxPending: number; maxObjectBytes: number }) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Room for one operation whose body may not be known in full yet.
   * @throws StorageFullError
   */
  reserve(bytes: number): Reservation {
    const { maxPending } = this.#limits;
    if (this.#operations >= maxPending) {
      throw new StorageFullError('maxPending', bytes, `${maxPending} writes are pending already`);
    }
    const reservation = new Reservation(this, bytes);
    this.#operations += 1;
    return reservation;
  }

  /** What was found when the journal was opened: it is there, whatever the bounds say now. */
  adopt(bytes: number): void {
    this.#bytes += bytes;
    this.#operations += 1;
  }

  /** An operation is no longer kept. */
  release(bytes: number): void {
    this.#bytes -= bytes;
    this.#operations -= 1;
  }

  /** @throws StorageFullError */
  take(bytes: number, object: number): void {
    const { maxBytes, maxObjectBytes } = this.#limits;
    if (object > maxObjectBytes) {
      const seen = `the object has ${object} bytes or more, at most ${maxObjectBytes} are taken`;
      throw new StorageFullError('maxObjectBytes', object, seen);
    }
    if (this.#bytes + bytes > maxBytes) {
      const seen = `${this.#bytes} bytes are pending, ${bytes} more would be over ${maxBytes}`;
      throw new StorageFullError('maxBytes', object, seen, { retryable: object <= maxBytes });
    }
    this.#bytes += bytes;
  }
}

/** Grows with a body whose length is not known beforehand. */
export class Reservation {
  readonly #budget: Budget;
  #bytes = 0;

  constructor(budget: Budget, bytes: number) {
    this.#budget = budget;
    this.grow(bytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws StorageFullError; what was reserved before stays so. */
  grow(bytes: number): void {
    this.#budget.take(bytes, this.#bytes + bytes);
    this.#bytes += bytes;
  }

  cancel(): void {
    this.#budget.release(this.#bytes);
  }
}
