import {
  type Clock,
  type Random,
  type Timer,
  describeThrown,
  hideCredentials,
} from '@holdfast/foundation';
import { HealthCheckTimeoutError } from './errors.ts';
import type { ComponentGroup, ComponentState, HealthCheck, HealthStatus } from './health.ts';

/** Calls of one check that may hang at a time; with so many, it is not called again until one has ended. */
const MAX_HANGING = 3;

/** What a component needs of its surroundings. */
interface ComponentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly jitter: number;
  readonly failuresBeforeDown: number;
  readonly onResult: (component: Component, from: HealthStatus) => void;
}

/** The settings of one component, with defaults. */
interface ComponentSettings {
  readonly name: string;
  readonly group: ComponentGroup;
  readonly critical: boolean;
  readonly check: HealthCheck;
  readonly timeoutMs: number;
  readonly intervalMs: number;
}

/** The known state of a component; a result turns one into the next. */
interface KnownState {
  readonly status: HealthStatus;
  readonly reason?: string;
  readonly failuresInRow: number;
  readonly hasWorked: boolean;
}

/** A component that has worked counts as failed only after several failures in a row. */
export function nextState(
  known: KnownState,
  result: ComponentState,
  failuresBeforeDown: number,
): KnownState {
  if (result.status !== 'fail') return { ...result, failuresInRow: 0, hasWorked: true };
  const failuresInRow = known.failuresInRow + 1;
  const isDown = !known.hasWorked || failuresInRow >= failuresBeforeDown;
  return { ...result, status: isDown ? 'fail' : 'warn', failuresInRow, hasWorked: known.hasWorked };
}

/** Checks one thing in the background: one call at a time, each with a deadline. */
export class Component {
  readonly settings: ComponentSettings;
  readonly #deps: ComponentDeps;
  #state: KnownState = {
    status: 'fail',
    reason: 'not checked yet',
    failuresInRow: 0,
    hasWorked: false,
  };
  #checkedAtEpochMs: number | undefined;
  #checkedMs = -Infinity;
  #durationMs: number | undefined;
  #flight: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isClosed = false;
  readonly #closing = new AbortController();
  checks = 0;
  failures = 0;
  timeouts = 0;
  hanging = 0;

  constructor(settings: ComponentSettings, deps: ComponentDeps) {
    this.settings = settings;
    this.#deps = deps;
    this.#begin();
  }

  get state(): KnownState {
    return this.#state;
  }

  get checkedAtEpochMs(): number | undefined {
    return this.#checkedAtEpochMs;
  }

  get durationMs(): number | undefined {
    return this.#durationMs;
  }

  /** Checks, unless that was done within the interval; joins a check that runs. */
  async refresh(): Promise<void> {
    if (this.#isClosed) return;
    const ageMs = this.#deps.clock.now() - this.#checkedMs;
    if (this.#flight === undefined && ageMs < this.settings.intervalMs) return;
    await (this.#flight ??= this.#check());
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#closing.abort(new DOMException('health is closed', 'AbortError'));
  }

  #begin(): void {
    // The next check is armed before this one ends, so that one that hangs delays none.
    this.#arm();
    void (this.#flight ??= this.#check());
  }

  #arm(): void {
    const { clock, random, jitter } = this.#deps;
    const delayMs = this.settings.intervalMs * (1 + jitter * (random() - 0.5));
    const begin = (): void => this.#begin();
    this.#timer = clock.schedule(delayMs, begin, { holdsProcess: false });
  }

  async #check(): Promise<void> {
    const { clock } = this.#deps;
    const startedMs = clock.now();
    const result = await this.#result();
    this.#flight = undefined;
    if (this.#isClosed) return;
    this.#checkedMs = startedMs;
    this.#checkedAtEpochMs = clock.epochMs();
    this.#durationMs = clock.now() - startedMs;
    const from = this.#state.status;
    this.#state = nextState(this.#state, result, this.#deps.failuresBeforeDown);
    if (result.status === 'fail') this.failures += 1;
    this.#deps.onResult(this, from);
  }

  /** Never rejects, and never takes longer than the deadline. */
  #result(): Promise<ComponentState> {
    const { name, timeoutMs } = this.settings;
    if (this.hanging >= MAX_HANGING) {
      return Promise.resolve(failure(`${this.hanging} earlier checks have not ended`));
    }
    this.checks += 1;
    return new Promise((resolve) => {
      const deadline = new AbortController();
      let isLate = false;
      const timer = this.#deps.clock.schedule(
        timeoutMs,
        () => {
          const error = new HealthCheckTimeoutError(name, timeoutMs);
          isLate = true;
          this.timeouts += 1;
          this.hanging += 1;
          deadline.abort(error);
          resolve(failure(error.message));
        },
        { holdsProcess: false },
      );
      const settle = (state: ComponentState): void => {
        timer.cancel();
        if (isLate) this.hanging -= 1;
        resolve(state);
      };
      const signal = AbortSignal.any([deadline.signal, this.#closing.signal]);
      callCheck(this.settings.check, signal).then(settle, (error: unknown) =>
        settle(failure(describeThrown(error))),
      );
    });
  }
}

async function callCheck(check: HealthCheck, signal: AbortSignal): Promise<ComponentState> {
  const { status = 'pass', reason } = (await check(signal)) ?? {};
  if (status !== 'pass' && status !== 'warn' && status !== 'fail') {
    return failure("the check returned a status other than 'pass', 'warn' and 'fail'");
  }
  if (reason !== undefined && typeof reason !== 'string') {
    return failure('the check returned a reason that is no string');
  }
  return reason === undefined ? { status } : { status, reason: shown(reason) };
}

const failure = (reason: string): ComponentState => ({ status: 'fail', reason: shown(reason) });

const MAX_REASON = 500;

/** Reasons are written by strangers: none may carry a password, or fill a page. */
function shown(reason: string): string {
  return hideCredentials(reason).slice(0, MAX_REASON);
}
