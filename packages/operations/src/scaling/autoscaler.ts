import {
  type Clock,
  type Timer,
  abortable,
  callback,
  createEmitter,
  integer,
  objectWith,
  parseOptions,
  systemClock,
  withDeadline,
} from '@holdfast/foundation';
import { ScalingTimeoutError } from './errors.ts';
import { type ScalingOptions, createScalingRecommender, scalingSchema } from './recommend.ts';
import type { Autoscaler, AutoscalerEvents, ScalingMetric, ScalingTarget } from './scaling.ts';

/** Options of `createAutoscaler`. All times in milliseconds. */
export interface AutoscalerOptions extends ScalingOptions {
  /** What is scaled. */
  target: ScalingTarget;
  /** The current metrics. One that fails is one that is missing. */
  metrics: (options: { readonly signal: AbortSignal }) => Promise<readonly ScalingMetric[]>;
  /** Default 15 000. */
  intervalMs?: number;
  /** The deadline of a call of `metrics` or of the target. Default 10 000. */
  callTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const DAY_MS = 86_400_000;
const schema = {
  ...scalingSchema,
  target: objectWith<ScalingTarget>(['read', 'write']),
  metrics: callback<AutoscalerOptions['metrics']>(),
  intervalMs: integer({ min: 10, max: DAY_MS, default: 15_000 }),
  callTimeoutMs: integer({ min: 10, max: DAY_MS, default: 10_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** Asks for metrics every interval, and the target for what they need. @throws InvalidOptionError */
export function createAutoscaler(options: AutoscalerOptions): Autoscaler {
  const resolved = parseOptions('createAutoscaler', schema, options);
  const { target, metrics, intervalMs, callTimeoutMs, clock, ...rules } = resolved;
  const recommender = createScalingRecommender(rules);
  const emitter = createEmitter<AutoscalerEvents>('holdfast:scaling', {
    scaled: true,
    held: true,
    failed: true,
  });
  const closing = new AbortController();
  let timer: Timer | undefined;
  let round = Promise.resolve();
  const call = <T>(
    what: string,
    work: (options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> =>
    withDeadline(
      clock,
      callTimeoutMs,
      closing.signal,
      () => new ScalingTimeoutError(what, callTimeoutMs),
      (signal) => abortable(work({ signal }), signal),
    );
  const decide = async (): Promise<void> => {
    const from = await call('the target', (context) => target.read(context));
    const known = await call('the metrics', (context) => metrics(context)).catch(() => []);
    closing.signal.throwIfAborted();
    const recommendation = recommender.recommend(from, known, clock.now());
    const { replicas: to, reason } = recommendation;
    if (to === from) {
      emitter.emit('held', recommendation);
      return;
    }
    await call('the target', (context) => target.write(to, from, context));
    emitter.emit('scaled', { from, to, reason });
  };
  const run = (): void => {
    round = decide()
      .catch((error: unknown) => {
        if (!closing.signal.aborted) emitter.emit('failed', { error });
      })
      .then(() => {
        if (!closing.signal.aborted) timer = clock.schedule(intervalMs, run);
      });
  };
  timer = clock.schedule(0, run);
  const close = async (): Promise<void> => {
    timer?.cancel();
    closing.abort(new DOMException('the autoscaler is closed', 'AbortError'));
    await round;
  };
  return { on: emitter.on, close, [Symbol.asyncDispose]: close };
}
