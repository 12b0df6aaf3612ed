import { isHoldfastError, sleep, systemClock } from '@holdfast/foundation';
import type { Queue } from '@holdfast/queue';
import { LoadSamples } from './timeline-recorder.ts';

interface OfferedLoad {
  /** The number of the next job. */
  readonly next: number;
  /** Stops offering jobs; resolves once each offered job was accepted or rejected. */
  stop(): Promise<OfferedLoadResult>;
}

interface OfferedLoadResult {
  readonly refused: readonly unknown[];
  /** The longest duration of an `enqueue`, in milliseconds. */
  readonly slowestMs: number;
  readonly samples: LoadSamples;
}

/** Called for each accepted job with the store that accepted it. */
interface LoadLedger {
  accepted(job: number, by: string): void;
}

interface OfferedLoadOptions {
  readonly topic: string;
  readonly jobsPerSecond: number;
  /** The number of the first job. Default 1. */
  readonly from?: number;
}

const TICK_MS = 5;

/**
 * Offers numbered jobs at a steady rate, without waiting for earlier ones to be accepted (an open
 * model), and enters the accepted jobs in the ledger.
 */
export function offerLoad(
  queue: Queue,
  ledger: LoadLedger,
  options: OfferedLoadOptions,
): OfferedLoad {
  const { topic, jobsPerSecond, from = 1 } = options;
  const stopping = new AbortController();
  const refused: unknown[] = [];
  /** Only the pending calls, so that a long load needs no more memory. */
  const underWay = new Set<Promise<void>>();
  let slowestMs = 0;
  let next = from;
  const samples = new LoadSamples(systemClock.now());

  const offer = async (job: number): Promise<void> => {
    const startedMs = systemClock.now();
    samples.note(startedMs, 'offered');
    try {
      const { accepted } = await queue.enqueue(topic, job);
      ledger.accepted(job, accepted);
      slowestMs = Math.max(slowestMs, systemClock.now() - startedMs);
    } catch (error) {
      refused.push(error);
      samples.note(systemClock.now(), 'errors');
      // A test that took too long was closed, and cannot stop it.
      if (isHoldfastError(error) && error.code === 'QUEUE_CLOSED') stopping.abort();
    }
  };

  const run = async (): Promise<void> => {
    const startedMs = systemClock.now();
    while (!stopping.signal.aborted) {
      const due = from + Math.floor(((systemClock.now() - startedMs) / 1_000) * jobsPerSecond);
      for (; next <= due; next += 1) {
        const offered = offer(next).finally(() => underWay.delete(offered));
        underWay.add(offered);
      }
      await sleep(systemClock, TICK_MS, stopping.signal).catch(() => undefined);
    }
  };

  const running = run();
  return {
    get next() {
      return next;
    },
    async stop() {
      stopping.abort();
      await running;
      await Promise.all(underWay);
      return { refused, slowestMs, samples };
    },
  };
}
