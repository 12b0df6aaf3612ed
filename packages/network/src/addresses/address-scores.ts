/** Which addresses could not be connected to. */
export class AddressScores {
  readonly #failedMs: number;
  readonly #maxAddresses: number;
  readonly #failedUntilMs = new Map<string, number>();
  #version = 0;

  /**
   * @param failedMs how long a failed address comes last.
   * @param maxAddresses those that are remembered; the oldest failure is forgotten.
   */
  constructor(failedMs: number, maxAddresses: number) {
    this.#failedMs = failedMs;
    this.#maxAddresses = maxAddresses;
  }

  /** Another one after every change. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#failedUntilMs.size;
  }

  report(address: string, result: 'reached' | 'failed', nowMs: number): void {
    const wasFailed = this.#failedUntilMs.delete(address);
    if (result === 'reached') {
      if (wasFailed) this.#version += 1;
      return;
    }
    this.#failedUntilMs.set(address, nowMs + this.#failedMs);
    this.#version += 1;
    const [oldest] = this.#failedUntilMs.keys();
    if (this.#failedUntilMs.size > this.#maxAddresses && oldest !== undefined) {
      this.#failedUntilMs.delete(oldest);
    }
  }

  /** `undefined` for an address that may be tried at once. */
  failedUntilMs(address: string, nowMs: number): number | undefined {
    const untilMs = this.#failedUntilMs.get(address);
    if (untilMs === undefined || untilMs > nowMs) return untilMs;
    this.#failedUntilMs.delete(address);
    return undefined;
  }
}

/** One of each in turn, then what is left. */
export function alternate<T>(one: readonly T[], another: readonly T[]): T[] {
  const length = Math.max(one.length, another.length);
  return Array.from({ length }, (_, index) => [
    ...one.slice(index, index + 1),
    ...another.slice(index, index + 1),
  ]).flat();
}
