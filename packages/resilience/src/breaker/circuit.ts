import type { Refused } from '../call-outcome.ts';
import { integer, parseOptions } from '@holdfast/foundation';
import { withoutStack } from '../cheap-errors.ts';
import type { CircuitBreakerStats, CircuitStateChange } from './circuit-breaker.ts';
import { CircuitOpenError, type RefusingState } from './circuit-open-error.ts';
import type { CircuitResult, CircuitRules } from './circuit-options.ts';
import { type CircuitSnapshot, parseSnapshot, takeSnapshot } from './circuit-snapshot.ts';
import {
  type CircuitMove,
  type CircuitState,
  ProbeRound,
  type ProbeVerdict,
  closed,
  openingsOf,
  transition,
} from './circuit-state.ts';
import type { ResultWindow } from './result-window.ts';

/** Returned by {@link Circuit.admit} instead of a generation. */
export const REFUSED = -1;

const forceOpenShape = { durationMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER }) };

/**
 * One circuit. `admit` returns the number of the current generation; each change of state begins a new one, and a
 * result with an older number is counted as late and has no effect.
 */
export abstract class Circuit {
  readonly key: string | undefined;
  readonly #rules: CircuitRules;
  #state: CircuitState = closed;
  #generation = 0;
  #consecutiveFailures = 0;
  #window: ResultWindow | undefined = undefined;
  #sinceEpochMs: number;
  /** The failure that opened the circuit; kept until it closes. */
  #openedBy: unknown = undefined;
  #successes = 0;
  #failures = 0;
  #slowCalls = 0;
  #refusals = 0;
  #neutral = 0;
  #late = 0;

  constructor(rules: CircuitRules, key?: string) {
    this.#rules = rules;
    this.key = key;
    this.#sinceEpochMs = rules.clock.epochMs();
  }

  get name(): string {
    return this.#rules.name;
  }

  get state(): CircuitState['kind'] {
    return this.#state.kind;
  }

  /** Emits the change; called when it is complete. */
  protected abstract stateChanged(change: CircuitStateChange): void;

  /** The generation of the call, or {@link REFUSED}. The caller must report exactly one result. */
  admit(): number {
    const { kind } = this.#state;
    if (kind === 'closed' || kind === 'metrics-only') return this.#generation;
    return this.#admitProbe();
  }

  /** Whether the state is unchanged since the call was admitted; for a call that has waited since. */
  isCurrent(generation: number): boolean {
    return generation === this.#generation;
  }

  recordSuccess(generation: number, durationMs = 0): void {
    this.#count(generation, false, durationMs, undefined);
  }

  recordFailure(generation: number, error: unknown, durationMs = 0): void {
    this.#count(generation, true, durationMs, error);
  }

  /** The call says nothing about the dependency. */
  recordRelease(generation: number): void {
    if (generation !== this.#generation) {
      this.#late += 1;
      return;
    }
    this.#neutral += 1;
    if (this.#state.kind === 'half-open') this.#state.probes.release();
  }

  /** Counts an error by its class. */
  recordRejection(generation: number, error: unknown, durationMs: number, aborted: boolean): void {
    if (aborted) {
      this.recordRelease(generation);
      return;
    }
    const result = this.#rules.classifyResult(error);
    if (typeof result === 'string') this.#recordAs(result, generation, error, durationMs);
    else void result.then((decided) => this.#recordAs(decided, generation, error, durationMs));
  }

  #recordAs(result: CircuitResult, generation: number, error: unknown, durationMs: number): void {
    if (result === 'neutral') this.recordRelease(generation);
    else if (result === 'success') this.recordSuccess(generation, durationMs);
    else this.recordFailure(generation, error, durationMs);
  }

  /** The start of a call; the clock is read only if calls can be slow. */
  startMs(): number {
    return this.#rules.slowCallMs === Infinity ? 0 : this.#rules.clock.now();
  }

  elapsedMs(startMs: number): number {
    return this.#rules.slowCallMs === Infinity ? 0 : this.#rules.clock.now() - startMs;
  }

  /** The error of a call that `admit` refused. */
  openError(): CircuitOpenError {
    const { state, retryAfterMs } = this.refusal();
    const { name } = this.#rules;
    const refusal = { name, key: this.key, state, retryAfterMs, cause: this.#openedBy };
    return withoutStack(() => new CircuitOpenError(refusal));
  }

  /** The outcome of a call that `admit` refused. */
  refusedOutcome(): Refused {
    const { retryAfterMs } = this.refusal();
    return retryAfterMs === undefined
      ? { kind: 'refused', policy: 'circuit-breaker' }
      : { kind: 'refused', policy: 'circuit-breaker', retryAfterMs };
  }

  isolate(): void {
    this.#move({ kind: 'isolate' });
  }

  forceOpen(durationMs?: number): void {
    const openings = openingsOf(this.#state) + 1;
    const chosenMs =
      durationMs === undefined
        ? this.#rules.openDurationMs({ openings, error: undefined })
        : parseOptions('circuitBreaker.forceOpen', forceOpenShape, { durationMs }).durationMs;
    this.#move({ kind: 'force-open', untilMs: this.#rules.clock.now() + chosenMs });
  }

  observe(): void {
    this.#move({ kind: 'observe' });
  }

  reset(): void {
    this.#move({ kind: 'reset' });
  }

  exportState(): CircuitSnapshot {
    const { clock } = this.#rules;
    return takeSnapshot(this.#state, this.#sinceEpochMs, this.#consecutiveFailures, clock);
  }

  hydrate(snapshot: CircuitSnapshot): void {
    const { clock, maxOpenDurationMs } = this.#rules;
    const restored = parseSnapshot(snapshot, clock, maxOpenDurationMs);
    this.#move({ kind: 'restore', state: restored.state });
    this.#sinceEpochMs = restored.sinceEpochMs;
    this.#consecutiveFailures = restored.consecutiveFailures;
  }

  getStats(): CircuitBreakerStats {
    const state = this.#state;
    const { clock } = this.#rules;
    const retryAfterMs =
      state.kind === 'open' ? Math.max(0, Math.ceil(state.untilMs - clock.now())) : undefined;
    return {
      name: this.#rules.name,
      ...(this.key === undefined ? {} : { key: this.key }),
      state: state.kind,
      consecutiveFailures: this.#consecutiveFailures,
      lastStateChange: this.#sinceEpochMs,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      openings: openingsOf(state),
      window: this.#window?.totals(clock.now()) ?? { calls: 0, failures: 0, slowCalls: 0 },
      successCount: this.#successes,
      failureCount: this.#failures,
      slowCount: this.#slowCalls,
      rejectedCount: this.#refusals,
      neutralCount: this.#neutral,
      lateCount: this.#late,
    };
  }

  #admitProbe(): number {
    const nowMs = this.#rules.clock.now();
    this.#failLostProbes(nowMs);
    if (this.#state.kind === 'open' && nowMs >= this.#state.untilMs) {
      this.#move({ kind: 'half-open', probes: new ProbeRound(this.#rules.probes) });
    }
    const state = this.#state;
    // A listener may have changed the state in the meantime.
    const admits =
      state.kind === 'half-open'
        ? state.probes.tryAdmit(nowMs)
        : state.kind === 'closed' || state.kind === 'metrics-only';
    if (admits) return this.#generation;
    this.#refusals += 1;
    return REFUSED;
  }

  #failLostProbes(nowMs: number): void {
    if (this.#state.kind !== 'half-open') return;
    const { probes } = this.#state;
    const { lostAtMs } = probes;
    if (nowMs < lostAtMs) return;
    const verdict = probes.failRunning();
    if (verdict === undefined) this.#move({ kind: 'go-on' });
    else this.#decide(verdict, lostAtMs, undefined);
  }

  #count(generation: number, failed: boolean, durationMs: number, error: unknown): void {
    if (generation !== this.#generation) {
      this.#late += 1;
      return;
    }
    const slow = durationMs >= this.#rules.slowCallMs;
    if (slow) this.#slowCalls += 1;
    if (failed) {
      this.#failures += 1;
      this.#consecutiveFailures += 1;
    } else {
      this.#successes += 1;
      this.#consecutiveFailures = 0;
    }
    if (this.#state.kind === 'half-open') {
      const verdict = this.#state.probes.count(failed, slow);
      if (verdict !== undefined) this.#decide(verdict, this.#rules.clock.now(), error);
    } else if (failed || this.#rules.createWindow !== undefined) {
      this.#recordResult(failed, slow, error);
    }
  }

  /** Adds a result to the window, and opens the closed circuit when a threshold is reached. */
  #recordResult(failed: boolean, slow: boolean, error: unknown): void {
    const { clock, createWindow, failureThreshold } = this.#rules;
    const nowMs = clock.now();
    let tooMany = this.#consecutiveFailures >= failureThreshold;
    if (createWindow !== undefined) {
      this.#window ??= createWindow();
      this.#window.record(nowMs, failed, slow);
      tooMany ||= this.#overThreshold(this.#window, nowMs);
    }
    if (!tooMany || this.#state.kind !== 'closed') return;
    const untilMs = nowMs + this.#rules.openDurationMs({ openings: 1, error });
    this.#openedBy = error;
    this.#move({ kind: 'trip', untilMs });
  }

  #overThreshold(window: ResultWindow, nowMs: number): boolean {
    const { minimumCalls, failureRateThreshold, slowCallMs, slowCallRateThreshold } = this.#rules;
    const { calls, failures, slowCalls } = window.totals(nowMs);
    if (calls < minimumCalls) return false;
    if (failures >= failureRateThreshold * calls) return true;
    return slowCallMs !== Infinity && slowCalls >= slowCallRateThreshold * calls;
  }

  #decide(verdict: NonNullable<ProbeVerdict>, atMs: number, error: unknown): void {
    if (verdict === 'recover') {
      this.#move({ kind: 'recover' });
    } else {
      const openings = openingsOf(this.#state) + 1;
      const untilMs = atMs + this.#rules.openDurationMs({ openings, error });
      this.#openedBy = error ?? this.#openedBy;
      this.#move({ kind: 'relapse', untilMs });
    }
  }

  #move(move: CircuitMove): void {
    const from = this.#state;
    const to = transition(from, move);
    if (to === from && move.kind !== 'reset') return;
    this.#state = to;
    this.#generation += 1;
    this.#window = undefined;
    if (to.kind === 'closed') {
      this.#consecutiveFailures = 0;
      this.#openedBy = undefined;
    }
    if (to.kind === from.kind && move.kind !== 'force-open') return;
    const { name, clock } = this.#rules;
    this.#sinceEpochMs = clock.epochMs();
    this.stateChanged({
      name,
      ...(this.key === undefined ? {} : { key: this.key }),
      from: from.kind,
      to: to.kind,
      atEpochMs: this.#sinceEpochMs,
      ...(this.#openedBy === undefined ? {} : { error: this.#openedBy }),
      ...(to.kind === 'open' ? { openDurationMs: Math.max(0, to.untilMs - clock.now()) } : {}),
    });
  }

  /** Why `admit` refused, and until when. */
  refusal(): { state: RefusingState; retryAfterMs: number | undefined } {
    const state = this.#state;
    const nowMs = this.#rules.clock.now();
    switch (state.kind) {
      case 'open':
        return { state: 'open', retryAfterMs: Math.max(0, Math.ceil(state.untilMs - nowMs)) };
      case 'half-open': {
        // The next decision comes with the probes' results, at the latest with their timeout.
        const lostMs = Math.max(0, Math.ceil(state.probes.lostAtMs - nowMs));
        return { state: 'half-open', retryAfterMs: Math.min(lostMs, HALF_OPEN_RETRY_MS) };
      }
      case 'isolated':
        return { state: 'isolated', retryAfterMs: undefined };
      case 'closed':
      case 'metrics-only':
      default:
        return { state: 'open', retryAfterMs: 0 };
    }
  }
}

/** The longest `retryAfterMs` while probes run: their end is unknown, and another call is cheap. */
const HALF_OPEN_RETRY_MS = 1_000;
