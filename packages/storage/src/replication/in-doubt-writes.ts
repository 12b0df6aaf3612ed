interface InDoubtWrite {
  attempts: number;
  readonly untilMs: number;
  readonly isAssumed: boolean;
}

/** Most keys never have one. */
const none = new Map<number, InDoubtWrite>();

/**
 * Writes of one key whose responses were lost: the backend may apply them at any time until `untilMs`, and
 * so undo a later write that was sent before then.
 */
export class InDoubtWrites {
  #byGeneration: Map<number, InDoubtWrite> = none;

  /** Adds an attempt whose result is unknown. */
  add(generation: number, untilMs: number): void {
    const attempts = (this.#byGeneration.get(generation)?.attempts ?? 0) + 1;
    this.#set(generation, { attempts, untilMs, isAssumed: false });
  }

  /** An earlier process may have sent it any number of times: reading it back once proves nothing. */
  assumeSent(generation: number, untilMs: number): void {
    this.#set(generation, { attempts: Infinity, untilMs, isAssumed: true });
  }

  /** It was sent again, with a response: reading it back may show this attempt. */
  resent(generation: number): void {
    const write = this.#byGeneration.get(generation);
    if (write !== undefined) write.attempts += 1;
  }

  /** It was read back: after a single attempt, nothing of it is in flight any more. */
  applied(generation: number): void {
    if (this.#byGeneration.get(generation)?.attempts === 1) this.#byGeneration.delete(generation);
  }

  mayStillApply(generation: number, nowMs: number): boolean {
    return (this.#byGeneration.get(generation)?.untilMs ?? -Infinity) > nowMs;
  }

  /** Until when a write of another generation may be applied; `undefined` when none can be. */
  blockedUntil(generation: number, nowMs: number): number | undefined {
    let untilMs: number | undefined;
    for (const [other, write] of this.#byGeneration) {
      if (write.untilMs <= nowMs) this.#byGeneration.delete(other);
      else if (other !== generation) untilMs = Math.max(untilMs ?? 0, write.untilMs);
    }
    return untilMs;
  }

  /**
   * Whether the object has to be read once more later. The same bytes again, sent by an earlier process,
   * would undo nothing.
   */
  needsVerification(generation: number, nowMs: number): boolean {
    if (this.blockedUntil(generation, nowMs) !== undefined) return true;
    return this.#byGeneration.get(generation)?.isAssumed === false;
  }

  /** Until when any of them may be applied. */
  untilMs(nowMs: number): number | undefined {
    return this.blockedUntil(Number.NaN, nowMs);
  }

  #set(generation: number, write: InDoubtWrite): void {
    if (this.#byGeneration === none) this.#byGeneration = new Map();
    this.#byGeneration.set(generation, write);
  }
}
