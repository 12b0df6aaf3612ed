import type { CircuitBreakerOptions, CircuitState } from '@holdfast/resilience';

/** The options the model understands, all of them settled. */
export interface ModelRules {
  readonly failureThreshold: number;
  readonly windowCalls: number | undefined;
  readonly windowMs: number | undefined;
  readonly failureRateThreshold: number;
  readonly minimumCalls: number;
  readonly slowCallMs: number;
  readonly slowCallRateThreshold: number;
  readonly openDurationMs: number;
  readonly openDurationMultiplier: number;
  readonly maxOpenDurationMs: number;
  readonly halfOpenMaxCalls: number;
  readonly probeTimeoutMs: number;
}

export function modelRules(options: CircuitBreakerOptions): ModelRules {
  const windowed = options.windowCalls !== undefined || options.windowMs !== undefined;
  return {
    failureThreshold: options.failureThreshold ?? (windowed ? Infinity : 5),
    windowCalls: options.windowCalls,
    windowMs: options.windowMs,
    failureRateThreshold: options.failureRateThreshold ?? 0.5,
    minimumCalls: options.minimumCalls ?? 20,
    slowCallMs: options.slowCallMs ?? Infinity,
    slowCallRateThreshold: options.slowCallRateThreshold ?? 1,
    openDurationMs: options.openDurationMs ?? 60_000,
    openDurationMultiplier: options.openDurationMultiplier ?? 1,
    maxOpenDurationMs: options.maxOpenDurationMs ?? 600_000,
    halfOpenMaxCalls: options.halfOpenMaxCalls ?? 1,
    probeTimeoutMs: options.probeTimeoutMs ?? 60_000,
  };
}

interface Result {
  readonly atMs: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

/**
 * The breaker as its documentation tells it, with lists instead of counters, so that it cannot make
 * the mistakes that saving memory invites.
 */
export class CircuitModel {
  kind: CircuitState['kind'] = 'closed';
  generation = 0;
  openings = 0;
  consecutiveFailures = 0;
  untilMs = 0;
  /** Results of this generation. */
  results: Result[] = [];
  /** Permits of this half-open generation that are not let go or answered. */
  probesOut = 0;
  lastProbeMs = 0;
  readonly #rules: ModelRules;

  constructor(rules: ModelRules) {
    this.#rules = rules;
  }

  /** The generation, or -1. */
  admit(nowMs: number): number {
    const { halfOpenMaxCalls, probeTimeoutMs } = this.#rules;
    if (this.kind === 'isolated') return -1;
    if (this.kind === 'half-open' && this.probesOut > 0) {
      const lostAtMs = this.lastProbeMs + probeTimeoutMs;
      if (nowMs >= lostAtMs) {
        for (; this.probesOut > 0; this.probesOut -= 1) {
          this.results.push({ atMs: lostAtMs, failed: true, slow: false });
        }
        this.generation += 1;
        this.#decideTrial(lostAtMs);
      }
    }
    if (this.kind === 'open' && nowMs >= this.untilMs) this.#become('half-open');
    if (this.kind === 'open') return -1;
    if (this.kind === 'half-open') {
      if (this.probesOut + this.results.length >= halfOpenMaxCalls) return -1;
      this.probesOut += 1;
      this.lastProbeMs = nowMs;
    }
    return this.generation;
  }

  finish(generation: number, nowMs: number, failed: boolean, durationMs: number): void {
    if (generation !== this.generation) return;
    const slow = durationMs >= this.#rules.slowCallMs;
    this.consecutiveFailures = failed ? this.consecutiveFailures + 1 : 0;
    this.results.push({ atMs: nowMs, failed, slow });
    if (this.kind === 'half-open') {
      this.probesOut -= 1;
      this.#decideTrial(nowMs);
    } else if (this.kind === 'closed' && this.#tooMany(nowMs)) {
      this.#open(nowMs);
    }
  }

  release(generation: number): void {
    if (generation === this.generation && this.kind === 'half-open') this.probesOut -= 1;
  }

  isolate(): void {
    if (this.kind !== 'isolated') this.#become('isolated');
  }

  observe(): void {
    if (this.kind !== 'metrics-only') this.#become('metrics-only');
  }

  forceOpen(nowMs: number): void {
    this.#open(nowMs);
  }

  reset(): void {
    this.#become('closed');
  }

  /** Results that the window still holds. */
  window(nowMs: number): readonly Result[] {
    const { windowCalls, windowMs } = this.#rules;
    if (this.kind !== 'closed' && this.kind !== 'metrics-only') return [];
    if (windowCalls !== undefined) return this.results.slice(-windowCalls);
    if (windowMs === undefined) return [];
    const tick = (atMs: number): number => Math.floor(atMs / (windowMs / 10));
    const seen = this.results.filter(({ atMs }) => tick(atMs) > tick(nowMs) - 10);
    // Time only goes forward: what is out of the window now will be so for ever.
    this.results = seen;
    return seen;
  }

  #tooMany(nowMs: number): boolean {
    const { failureThreshold, minimumCalls, failureRateThreshold } = this.#rules;
    const { slowCallMs, slowCallRateThreshold } = this.#rules;
    if (this.consecutiveFailures >= failureThreshold) return true;
    const seen = this.window(nowMs);
    if (seen.length === 0 || seen.length < minimumCalls) return false;
    const failures = seen.filter(({ failed }) => failed).length;
    const slow = seen.filter((result) => result.slow).length;
    return (
      failures / seen.length >= failureRateThreshold ||
      (slowCallMs !== Infinity && slow / seen.length >= slowCallRateThreshold)
    );
  }

  #decideTrial(atMs: number): void {
    const { windowCalls, windowMs, halfOpenMaxCalls, failureRateThreshold } = this.#rules;
    const { slowCallMs, slowCallRateThreshold } = this.#rules;
    const windowed = windowCalls !== undefined || windowMs !== undefined;
    const failures = this.results.filter(({ failed }) => failed).length;
    const slow = this.results.filter((result) => result.slow).length;
    const failed = windowed ? failures / halfOpenMaxCalls >= failureRateThreshold : failures > 0;
    const tooSlow = slowCallMs !== Infinity && slow / halfOpenMaxCalls >= slowCallRateThreshold;
    if ((failed && failures > 0) || (tooSlow && slow > 0)) this.#open(atMs);
    else if (this.results.length >= halfOpenMaxCalls) this.#become('closed');
  }

  #open(atMs: number): void {
    const { openDurationMs, openDurationMultiplier, maxOpenDurationMs } = this.#rules;
    const openings = this.kind === 'open' || this.kind === 'half-open' ? this.openings : 0;
    this.#become('open');
    this.openings = openings + 1;
    const grownMs = openDurationMs * openDurationMultiplier ** openings;
    this.untilMs = atMs + Math.min(maxOpenDurationMs, grownMs);
  }

  #become(kind: CircuitState['kind']): void {
    this.kind = kind;
    this.generation += 1;
    this.results = [];
    this.probesOut = 0;
    if (kind === 'closed') this.consecutiveFailures = 0;
    if (kind !== 'open' && kind !== 'half-open') this.openings = 0;
  }
}
