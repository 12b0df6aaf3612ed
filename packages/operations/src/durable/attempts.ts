import {
  type Clock,
  abortable,
  callback,
  integer,
  parseOptions,
  sleep,
  withDeadline,
} from '@holdfast/foundation';
import type { StepContext, StepOptions } from './durable.ts';
import { StepTimeoutError } from './errors.ts';

const DAY_MS = 86_400_000;
const MAX_ATTEMPTS = 1_000;

const stepSchema = {
  maxAttempts: integer({ min: 1, max: MAX_ATTEMPTS, default: 1 }),
  timeoutMs: integer({ min: 1, max: DAY_MS, default: 600_000 }),
  initialDelayMs: integer({ min: 0, max: DAY_MS, default: 1_000 }),
  shouldRetry: callback<(error: unknown) => boolean>(() => true),
};

/** What one step is tried with. */
interface StepTrial {
  readonly clock: Clock;
  readonly runId: string;
  readonly name: string;
  readonly fence: bigint;
  /** Aborts when the run is no longer this process's. */
  readonly signal: AbortSignal;
  readonly options: StepOptions | undefined;
}

/**
 * Tries a step until it returns or its attempts are used up.
 *
 * @throws the last attempt's error; the signal's reason as soon as that aborts.
 */
export async function tryStep<Value>(
  trial: StepTrial,
  run: (step: StepContext) => Promise<Value>,
): Promise<Value> {
  const { clock, runId, name, fence, signal } = trial;
  const options = parseOptions('step', stepSchema, trial.options);
  const { timeoutMs, maxAttempts, shouldRetry } = options;
  let delayMs = options.initialDelayMs;
  const late = (): Error => new StepTimeoutError(name, timeoutMs);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await withDeadline(clock, timeoutMs, signal, late, (inner) => {
        const step = { fence, idempotencyKey: `${runId}/${name}`, signal: inner, attempt };
        return abortable(run(step), inner);
      });
    } catch (error) {
      signal.throwIfAborted();
      if (attempt >= maxAttempts || !shouldRetry(error)) throw error;
    }
    await sleep(clock, delayMs, signal);
    delayMs = Math.min(DAY_MS, delayMs * 2);
  }
}
