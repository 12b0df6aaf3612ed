import type { Queue, QueueOptions } from '@holdfast/queue';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import type { RedisFixture } from './redis-fixture.ts';
import type { QueueFixture } from './queue-fixture.ts';
import { Ledger } from './ledger.ts';
import { offerLoad } from './load.ts';
import type { ScenarioOutcome } from './scenario.ts';
import { waitUntilDone } from './wait-until.ts';
import { recordTimeline } from './timeline-recorder.ts';

interface OutageSpec<F extends QueueFixture = RedisFixture> {
  /** Injects the fault. */
  readonly inject: (field: F, queue: Queue) => Promise<void>;
  /** The length of the fault, in milliseconds. */
  readonly lastsMs: number;
  /** Removes the fault; resolves when the server has recovered. */
  readonly recover: (field: F) => Promise<void>;
  readonly queue?: Partial<QueueOptions>;
  /** Checks the queue during the fault. */
  readonly during?: (queue: Queue) => void;
  /** Checks the queue when all jobs are handled. */
  readonly after?: (queue: Queue) => void;
}

export const TOPIC = 'jobs';
const JOBS_PER_SECOND = 300;
/** Jobs handled before the fault, and jobs offered after it; an endless load may outrun the consumer. */
const JOBS_AROUND = 60;
const SETTLED_WITHIN_MS = 60_000;

/**
 * Runs one outage under a steady load with one consumer: jobs are offered before, during and after it, to a
 * queue that has to detect the outage itself.
 */
export async function runOutage<F extends QueueFixture>(
  fixture: F,
  options: OutageSpec<F>,
): Promise<ScenarioOutcome> {
  const queue = fixture.queue({ directory: await fixture.directory(), ...options.queue });
  const ledger = new Ledger();
  queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
  const watched = recordTimeline(queue);
  await queue.ready();
  const load = offerLoad(queue, ledger, { topic: TOPIC, jobsPerSecond: JOBS_PER_SECOND });
  await ledger.nextDelivery(JOBS_AROUND);

  const detected = nextEvent(queue, 'state', { matches: ({ to }) => to !== 'direct' });
  const faultAtMs = systemClock.now();
  await options.inject(fixture, queue);
  const faultEndsMs = systemClock.now() + options.lastsMs;
  const { atMs: detectedAtMs } = await detected;
  // Jobs offered from here on go to the journal, and are handled only after the recovery of Redis.
  const firstBuffered = load.next;
  await sleep(systemClock, Math.max(0, faultEndsMs - systemClock.now()));
  options.during?.(queue);

  const handledAgain = ledger.nextDelivery(firstBuffered);
  const direct = untilDirect(queue);
  await options.recover(fixture);
  const recoveredAtMs = systemClock.now();
  const handledAtMs = await handledAgain;
  await direct;
  const enough = load.next + JOBS_AROUND;
  await waitUntilDone(
    () => ({ isDone: load.next >= enough, mark: load.next }),
    () => `${load.next} jobs offered`,
  );
  const { refused, slowestMs, samples } = await load.stop();
  if (refused.length > 0) throw refused[0];
  await ledger.settled(SETTLED_WITHIN_MS);
  await fixture.untilHandled(TOPIC);
  options.after?.(queue);

  return {
    verdict: ledger.verdict(),
    detectedAfterMs: detectedAtMs - faultAtMs,
    lastedMs: recoveredAtMs - faultAtMs,
    recoveredAfterMs: Math.max(0, handledAtMs - recoveredAtMs),
    note: noteOf(ledger, slowestMs),
    timeline: watched.momentsSince(faultAtMs),
    load: samples.since(faultAtMs),
  };
}

/**
 * Resolves once the queue sends its jobs to Redis directly.
 * @throws Error when no job was drained for a minute
 */
export function untilDirect(queue: Queue): Promise<void> {
  return waitUntilDone(
    () => ({ isDone: queue.state === 'direct', mark: queue.getStats().drained }),
    () => JSON.stringify(queue.getStats()),
  );
}

function noteOf(ledger: Ledger, slowestMs: number): string {
  const byJournal = ledger.acceptedBy('journal').length;
  const byRedis = ledger.acceptedBy('redis').length;
  return `${byRedis} accepted by Redis, ${byJournal} by the journal; slowest enqueue ${Math.round(slowestMs)} ms`;
}
