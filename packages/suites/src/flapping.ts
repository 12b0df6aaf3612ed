import type { Queue } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/foundation';
import type { RedisFixture } from './redis-fixture.ts';
import { Ledger } from './ledger.ts';
import { offerLoad } from './load.ts';
import { TOPIC, untilDirect } from './outage.ts';

interface FlappingSpec {
  readonly ledger: Ledger;
  readonly queue: Queue;
  /** The longest time from a start of Redis to the first job handled after it, in milliseconds. */
  readonly recoveredAfterMs: number;
}

/**
 * Kills Redis repeatedly under load, each time as soon as jobs are handled again; resolves once Redis
 * holds no jobs.
 */
export async function runFlapping(fixture: RedisFixture, kills: number): Promise<FlappingSpec> {
  const ledger = new Ledger();
  const queue = fixture.queue({ directory: await fixture.directory() });
  queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
  await queue.ready();
  const load = offerLoad(queue, ledger, { topic: TOPIC, jobsPerSecond: 300 });
  let recoveredAfterMs = 0;
  for (let round = 0; round < kills; round += 1) {
    await ledger.nextDelivery();
    const gone = nextEvent(queue, 'state', { matches: ({ to }) => to !== 'direct' });
    await fixture.redis.kill();
    await gone;
    const handled = ledger.nextDelivery();
    await fixture.redis.start();
    const recoveredAtMs = systemClock.now();
    recoveredAfterMs = Math.max(recoveredAfterMs, (await handled) - recoveredAtMs);
    await untilDirect(queue);
  }
  const { refused } = await load.stop();
  if (refused.length > 0) throw refused[0];
  await untilDirect(queue);
  await fixture.untilHandled(TOPIC);
  return { ledger, queue, recoveredAfterMs };
}
