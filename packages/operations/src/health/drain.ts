/**
 * The end of a process, in order: readiness off, time for balancers to see it, then what takes work before what work
 * needs. Each step has what is left of the total, less a reserve for the steps after it, so that one that hangs costs
 * the others nothing.
 *
 *   unready ──delayMs──▶ http ──▶ consumers ──▶ queue ──▶ storage ──▶ database
 */
import type { Server } from 'node:http';
import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  integer,
  objectWith,
  parseOptions,
  sleep,
  systemClock,
  withDeadline,
  abortable,
} from '@holdfast/foundation';
import { DrainStepTimeoutError } from './errors.ts';
import type { Health } from './health.ts';

/** What is closed: its `close` is called, or the function itself. */
export type Closing = { close(): unknown } | ((signal: AbortSignal) => unknown);

/** Options of `createDrain`. All times in milliseconds. */
export interface DrainOptions {
  /** Whose readiness is turned off. */
  health: Pick<Health, 'beginDrain'>;
  /** How long balancers may take to see it, in milliseconds. Default 5 000. */
  delayMs?: number;
  /** How long all of it may take, in milliseconds; below the grace of the orchestrator. Default 25 000. */
  totalMs?: number;
  /** What is left for each later step whatever an earlier one takes, in milliseconds. Default 1 000. */
  reservedMs?: number;
  /** What takes requests. Default: nothing, as for the others. */
  http?: readonly Closing[];
  /** What takes jobs. */
  consumers?: readonly Closing[];
  /** What jobs are sent to, and written back to. */
  queue?: readonly Closing[];
  /** What objects are written to. */
  storage?: readonly Closing[];
  /** What everything before needs last. */
  database?: readonly Closing[];
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The steps of a drain, in their order. */
export type DrainStep = 'http' | 'consumers' | 'queue' | 'storage' | 'database';

/** What became of one step. */
export interface DrainStepResult {
  readonly step: DrainStep;
  readonly kind: 'closed' | 'failed' | 'late';
  readonly durationMs: number;
  /** The errors of those that failed. */
  readonly errors: readonly unknown[];
}

/** What became of a drain. */
export interface DrainResult {
  readonly kind: 'drained' | 'incomplete';
  readonly durationMs: number;
  readonly steps: readonly DrainStepResult[];
}

/** The end of a process. */
export interface Drain {
  /** Begins once; later calls return the same promise. Never rejects. */
  run(): Promise<DrainResult>;
  /** Runs at the first of the signals; the returned function takes the listeners away. `then` is called at its end. */
  onSignals(signals: readonly NodeJS.Signals[], then: (result: DrainResult) => void): () => void;
}

const steps: readonly DrainStep[] = ['http', 'consumers', 'queue', 'storage', 'database'];
const HOUR_MS = 3_600_000;
const permitted = 'a list of functions and of objects with close';

const closings: OptionRule<readonly Closing[]> = {
  permitted,
  parse(value, field, owner) {
    if (Array.isArray(value) && value.every(isClosing)) return value;
    throw new InvalidOptionError(owner, field, value, permitted);
  },
  defaultValue: () => [],
};

function isClosing(value: unknown): value is Closing {
  if (typeof value === 'function') return true;
  return typeof value === 'object' && value !== null && 'close' in value;
}

const schema = {
  health: objectWith<Pick<Health, 'beginDrain'>>(['beginDrain']),
  delayMs: integer({ min: 0, max: HOUR_MS, default: 5_000 }),
  totalMs: integer({ min: 1, max: HOUR_MS, default: 25_000 }),
  reservedMs: integer({ min: 0, max: HOUR_MS, default: 1_000 }),
  http: closings,
  consumers: closings,
  queue: closings,
  storage: closings,
  database: closings,
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Prepares the end of a process; nothing happens before `run`.
 * @throws InvalidOptionError
 */
export function createDrain(options: DrainOptions): Drain {
  const resolved = parseOptions('createDrain', schema, options);
  const { delayMs, totalMs, reservedMs, clock, health } = resolved;
  const used = steps.filter((step) => resolved[step].length > 0);
  const leastMs = delayMs + reservedMs * used.length;
  if (totalMs < leastMs) {
    const least = `at least ${leastMs}, which delayMs and reservedMs of each step take`;
    throw new InvalidOptionError('createDrain', 'totalMs', totalMs, least);
  }
  const drain = async (): Promise<DrainResult> => {
    const startedMs = clock.now();
    health.beginDrain();
    await sleep(clock, delayMs);
    const results: DrainStepResult[] = [];
    for (const [index, step] of used.entries()) {
      const leftMs = startedMs + totalMs - clock.now();
      const budgetMs = leftMs - reservedMs * (used.length - 1 - index);
      results.push(await closeStep(step, resolved[step], Math.max(1, budgetMs), clock));
    }
    const isDrained = results.every(({ kind }) => kind === 'closed');
    const durationMs = clock.now() - startedMs;
    return { kind: isDrained ? 'drained' : 'incomplete', durationMs, steps: results };
  };
  let running: Promise<DrainResult> | undefined;
  const run = (): Promise<DrainResult> => (running ??= drain());
  return {
    run,
    onSignals(signals, then) {
      const listener = (): void => void run().then(then);
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
  };
}

async function closeStep(
  step: DrainStep,
  targets: readonly Closing[],
  budgetMs: number,
  clock: Clock,
): Promise<DrainStepResult> {
  const startedMs = clock.now();
  const closing = (target: Closing): Promise<unknown> =>
    withDeadline(
      clock,
      budgetMs,
      undefined,
      () => new DrainStepTimeoutError(step, Math.round(budgetMs)),
      (signal) => abortable(closeOne(target, signal), signal),
    );
  const settled = await Promise.allSettled(targets.map((target) => closing(target)));
  const errors = settled.flatMap((end): unknown[] =>
    end.status === 'rejected' ? [end.reason] : [],
  );
  const isLate = errors.some((error) => error instanceof DrainStepTimeoutError);
  const failed = isLate ? 'late' : 'failed';
  const kind = errors.length === 0 ? 'closed' : failed;
  return { step, kind, durationMs: clock.now() - startedMs, errors };
}

async function closeOne(target: Closing, signal: AbortSignal): Promise<unknown> {
  return typeof target === 'function' ? target(signal) : target.close();
}

const IDLE_EVERY_MS = 100;

/**
 * Closes a server of `node:http` whose clients keep connections: idle ones are ended again and again, and those that
 * are left when the step's time is over are cut.
 */
export function closingServer(server: Server, clock: Clock = systemClock): Closing {
  return (signal) =>
    new Promise<void>((resolve, reject) => {
      const endIdle = (): void => {
        server.closeIdleConnections();
        timer = clock.schedule(IDLE_EVERY_MS, endIdle);
      };
      let timer = clock.schedule(IDLE_EVERY_MS, endIdle);
      // A response that was begun before carries no header; every later one tells the client to leave.
      server.prependListener('request', (_request, response) =>
        response.setHeader('connection', 'close'),
      );
      const cut = (): void => server.closeAllConnections();
      signal.addEventListener('abort', cut, { once: true });
      server.close((error) => {
        timer.cancel();
        signal.removeEventListener('abort', cut);
        if (error === undefined) resolve();
        else reject(error);
      });
      server.closeIdleConnections();
    });
}
