import { StorageFullError } from '../errors.ts';

interface Limits {
  readonly maxBytes: number;
  readonly maxPending: number;
  readonly maxObjectBytes: number;
}

/** The room for the writes that the journal keeps, reserved before a byte is written. */
export class Budget {
  readonly #limits: Limits;
  #bytes = 0;
  #operations = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Reserves room for one operation; its body may turn out to be longer.
   * @throws StorageFullError
   */
  reserve(bytes: number): Reservation {
    const { maxPending } = this.#limits;
    if (this.#operations >= maxPending) {
      throw new StorageFullError(
        'maxPending',
        bytes,
        `the journal keeps ${maxPending} writes already`,
      );
    }
    const reservation = new Reservation(this, bytes);
    this.#operations += 1;
    return reservation;
  }

  /** Counts an operation found in the journal, whatever the limits are now. */
  adopt(bytes: number): void {
    this.#bytes += bytes;
    this.#operations += 1;
  }

  /** Frees the room of an operation that is no longer kept. */
  release(bytes: number): void {
    this.#bytes -= bytes;
    this.#operations -= 1;
  }

  /** @throws StorageFullError */
  take(bytes: number, objectBytes: number): void {
    const { maxBytes, maxObjectBytes } = this.#limits;
    if (objectBytes > maxObjectBytes) {
      const seen = `the object has ${objectBytes} bytes or more, the limit is ${maxObjectBytes}`;
      throw new StorageFullError('maxObjectBytes', objectBytes, seen);
    }
    if (this.#bytes + bytes > maxBytes) {
      const seen = `the journal keeps ${this.#bytes} bytes, ${bytes} more would exceed ${maxBytes}`;
      throw new StorageFullError('maxBytes', objectBytes, seen, {
        retryable: objectBytes <= maxBytes,
      });
    }
    this.#bytes += bytes;
  }
}

/** The room of one operation; grows with a body of unknown length. */
export class Reservation {
  readonly #budget: Budget;
  #bytes = 0;

  constructor(budget: Budget, bytes: number) {
    this.#budget = budget;
    this.grow(bytes);
  }

  /** @throws StorageFullError; what was reserved before stays reserved. */
  grow(bytes: number): void {
    this.#budget.take(bytes, this.#bytes + bytes);
    this.#bytes += bytes;
  }

  cancel(): void {
    this.#budget.release(this.#bytes);
  }
}
