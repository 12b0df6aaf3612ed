import type { Clock } from '@holdfast/foundation';
import type { QueueBackend } from '../backend.ts';
import { OperationUnsupportedError } from '../errors.ts';
import type { TopicOptions } from '../producer/topics.ts';
import type { QueueTracing } from '../tracing/tracing.ts';
import { PROGRESS_TTL_MS, type ResolvedKeepResults } from './keep-results.ts';
import { type ObserveRun, createObserver } from './observed-run.ts';
import { OutcomeKeeper } from './outcome-keeper.ts';

interface Tuning {
  readonly clock: Clock;
  readonly topics: ReadonlyMap<string, TopicOptions>;
  readonly tracing: QueueTracing | undefined;
}

/**
 * What a consumer needs to keep results and to report progress.
 * @throws OperationUnsupportedError when results are to be kept, and the store keeps none.
 */
export function outcomesOf(
  { outcomes: store }: QueueBackend,
  { clock, topics, tracing }: Tuning,
  topic: string,
  { keepResults: keep }: { readonly keepResults: ResolvedKeepResults | undefined },
): { readonly outcomes: OutcomeKeeper | undefined; readonly observe: ObserveRun } {
  if (keep !== undefined && store === undefined) throw new OperationUnsupportedError('keepResults');
  const schema = topics.get(topic)?.result;
  const keeper = keep && new OutcomeKeeper({ topic, keep, schema });
  const ttlMs = keep?.ttlMs ?? PROGRESS_TTL_MS;
  const observe = createObserver({ topic, store, clock, ttlMs, keeper, tracing });
  return { outcomes: keeper, observe };
}
