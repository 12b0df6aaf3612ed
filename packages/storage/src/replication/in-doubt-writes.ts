interface InDoubtWrite {
  attempts: number;
  readonly untilMs: number;
  readonly isAssumed: boolean;
}

/** Most keys never have one. */
const none = new Map<number, InDoubtWrite>();

/**
 * Writes of one key that a backend was sent and may apply at any time until `untilMs`: their answers were
 * lost. A later write that is sent before that may be undone by one of them.
 */
export class InDoubtWrites {
  #byGeneration: Map<number, InDoubtWrite> = none;

  /** One more attempt whose end nobody knows. */
  add(generation: number, untilMs: number): void {
    const attempts = (this.#byGeneration.get(generation)?.attempts ?? 0) + 1;
    this.#set(generation, { attempts, untilMs, isAssumed: false });
  }

  /** An earlier process may have sent it, nobody knows how often: seeing it there once proves nothing. */
  assumeSent(generation: number, untilMs: number): void {
    this.#set(generation, { attempts: Infinity, untilMs, isAssumed: true });
  }

  /** It was sent once more, and that was answered: what is seen from now on may be this attempt's. */
  resent(generation: number): void {
    const late = this.#byGeneration.get(generation);
    if (late !== undefined) late.attempts += 1;
  }

  /** The backend was seen to have it: if it was sent once only, nothing of it is under way any more. */
  applied(generation: number): void {
    if (this.#byGeneration.get(generation)?.attempts === 1) this.#byGeneration.delete(generation);
  }

  /** Whether a write of this generation may still be under way. */
  mayStillApply(generation: number, nowMs: number): boolean {
    return (this.#byGeneration.get(generation)?.untilMs ?? -Infinity) > nowMs;
  }

  /** Until when another generation's write may be applied; `undefined` when none can. */
  blockedUntil(generation: number, nowMs: number): number | undefined {
    let untilMs: number | undefined;
    for (const [late, hazard] of this.#byGeneration) {
      if (hazard.untilMs <= nowMs) this.#byGeneration.delete(late);
      else if (late !== generation) untilMs = Math.max(untilMs ?? 0, hazard.untilMs);
    }
    return untilMs;
  }

  /**
   * Whether what stands there has to be looked at once more. The same bytes again, sent by an earlier
   * process, would undo nothing.
   */
  needsVerification(generation: number, nowMs: number): boolean {
    if (this.blockedUntil(generation, nowMs) !== undefined) return true;
    return this.#byGeneration.get(generation)?.isAssumed === false;
  }

  /** Until when any of them may be applied. */
  untilMs(nowMs: number): number | undefined {
    return this.blockedUntil(Number.NaN, nowMs);
  }

  #set(generation: number, late: InDoubtWrite): void {
    if (this.#byGeneration === none) this.#byGeneration = new Map();
    this.#byGeneration.set(generation, late);
  }
}
