import { expect } from '@jest/globals';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { directClient } from '../../../src/redis-fixture.ts';
import { withClient } from '../../../src/queue-fixture.ts';
import { runOutage } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';
import { type SentinelFixture, openSentinelFixture } from '../../../src/topologies.ts';

const FAMILY = 'redis-failover';
const BEHIND_MS = 1_500;

/** Kills the primary; the Sentinels do the failover. */
async function failOver({ redis }: SentinelFixture): Promise<void> {
  await redis.primary.kill();
}

async function untilFailedOver({ redis }: SentinelFixture): Promise<void> {
  await redis.primaryAfter(redis.primary);
}

scenario(
  FAMILY,
  {
    promise: 'a failover to a current replica loses no job, duplicates none and keeps their order',
    fault: 'Sentinel: kill -9 of the primary under load',
  },
  (field) => runOutage(field, { inject: failOver, lastsMs: 0, recover: untilFailedOver }),
  openSentinelFixture,
);

/** Cuts the replicas off: they lose their primary and may not log in to it again. */
async function holdReplicasBack({ redis }: SentinelFixture): Promise<void> {
  for (const replica of redis.replicas) {
    await withClient(directClient(replica.url), async (client) => {
      await client.config('SET', 'masterauth', 'refused');
      await client.call('CLIENT', 'KILL', 'TYPE', 'master');
    });
  }
}

scenario(
  FAMILY,
  {
    promise:
      'jobs that a primary acknowledged and its successor never received are sent again, and no handled job runs again',
    fault: `Sentinel: replicas cut off, kill -9 of the primary ${BEHIND_MS} ms later under load`,
  },
  async (field) => {
    let forgot = 0;
    const outcome = await runOutage(field, {
      inject: async (_, queue) => {
        await holdReplicasBack(field);
        await sleep(systemClock, BEHIND_MS);
        queue.on('server-lost-jobs', ({ jobs }) => {
          forgot += jobs;
        });
        await failOver(field);
      },
      lastsMs: 0,
      recover: untilFailedOver,
    });
    expect(forgot).toBeGreaterThan(0);
    return outcome;
  },
  openSentinelFixture,
);

scenario(
  FAMILY,
  {
    promise:
      'the queue leaves a running primary that was replaced for its successor, and loses no job',
    fault: 'Sentinel: the operator orders a failover under load',
  },
  (field) =>
    runOutage(field, {
      inject: async ({ redis }, queue) => {
        const left = nextEvent(queue, 'state', { matches: ({ to }) => to !== 'direct' });
        const [sentinel] = redis.sentinels;
        if (sentinel === undefined) throw new Error('no Sentinel');
        await withClient(directClient(sentinel.url), (client) =>
          client.call('SENTINEL', 'FAILOVER', redis.masterName),
        );
        await left;
      },
      lastsMs: 0,
      recover: untilFailedOver,
    }),
  openSentinelFixture,
);
