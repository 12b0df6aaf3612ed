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
  /** Does the harm. */
  readonly inject: (field: F, queue: Queue) => Promise<void>;
  /** How long the harm lasts, in milliseconds. */
  readonly lastsMs: number;
  /** Undoes it; resolves when the server is whole. */
  readonly recover: (field: F) => Promise<void>;
  readonly queue?: Partial<QueueOptions>;
  /** Looks at the queue while the harm lasts. */
  readonly during?: (queue: Queue) => void;
  /** Looks at it when everything is handled. */
  readonly after?: (queue: Queue) => void;
}

export const TOPIC = 'jobs';
const JOBS_PER_SECOND = 300;
/** Handled before the harm is done, and offered after it is mended; a load without end may outrun the consumer. */
const JOBS_AROUND = 60;
const SETTLED_WITHIN_MS = 60_000;

/**
 * One outage under a steady load with one consumer: jobs before it, through it and after it. Every job is
 * offered to a queue that nobody tells about the outage.
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
  const harmedAtMs = systemClock.now();
  await options.inject(fixture, queue);
  const faultEndsMs = systemClock.now() + options.lastsMs;
  const { atMs: detectedAtMs } = await detected;
  // From here on jobs go to the journal: none of them is handled before Redis is back.
  const firstBuffered = load.next;
  await sleep(systemClock, Math.max(0, faultEndsMs - systemClock.now()));
  options.during?.(queue);

  const handledAgain = ledger.nextDelivery(firstBuffered);
  const direct = untilDirect(queue);
  await options.recover(fixture);
  const mendedAtMs = systemClock.now();
  const handledAtMs = await handledAgain;
  await direct;
  const enough = load.next + JOBS_AROUND;
  await waitUntilDone(
    () => ({ isDone: load.next >= enough, mark: load.next }),
    () => `${load.next} jobs offered`,
  );
  const { refused, slowestMs } = await load.stop();
  if (refused.length > 0) throw refused[0];
  await ledger.settled(SETTLED_WITHIN_MS);
  await fixture.untilHandled(TOPIC);
  options.after?.(queue);

  return {
    verdict: ledger.verdict(),
    detectedAfterMs: detectedAtMs - harmedAtMs,
    lastedMs: mendedAtMs - harmedAtMs,
    recoveredAfterMs: Math.max(0, handledAtMs - mendedAtMs),
    note: noteOf(ledger, slowestMs),
    timeline: watched.momentsSince(harmedAtMs),
  };
}

/**
 * Resolves once the queue gives its jobs to Redis directly.
 * @throws Error when it does not, and nothing was drained for a minute
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
