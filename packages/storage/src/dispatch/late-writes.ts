/**
 * Writes of one key that a backend was sent and may apply at any time until `untilMs`: their answers were
 * lost. A later write that is sent before that may be undone by one of them.
 */
export class LateWrites {
  readonly #byGeneration = new Map<number, { attempts: number; untilMs: number }>();

  /** One more attempt whose end nobody knows. */
  add(generation: number, untilMs: number): void {
    const attempts = (this.#byGeneration.get(generation)?.attempts ?? 0) + 1;
    this.#byGeneration.set(generation, { attempts, untilMs });
  }

  /** The backend was seen to have it: if it was sent once only, nothing of it is under way any more. */
  landed(generation: number): void {
    if (this.#byGeneration.get(generation)?.attempts === 1) this.#byGeneration.delete(generation);
  }

  /** Until when another generation's write may be applied; `undefined` when none can. */
  hazardTo(generation: number, nowMs: number): number | undefined {
    let untilMs: number | undefined;
    for (const [late, hazard] of this.#byGeneration) {
      if (hazard.untilMs <= nowMs) this.#byGeneration.delete(late);
      else if (late !== generation) untilMs = Math.max(untilMs ?? 0, hazard.untilMs);
    }
    return untilMs;
  }

  /** Until when any of them may be applied. */
  untilMs(nowMs: number): number | undefined {
    return this.hazardTo(Number.NaN, nowMs);
  }
}
