import { expect } from '@jest/globals';
import { checkOf, createGracefulDegradation, createHealth } from '@holdfast/operations';
import { createQueueAdapter } from '@holdfast/queue';
import { openStage } from '@holdfast/stage';
import { scenario } from '../../src/operations/scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

const FLAPS = 3;

scenario(
  {
    promise: 'a Redis that flaps degrades what stands on it once, and brings it back once',
    fault: 'Redis killed and started three times in a row',
  },
  async (use) => {
    const stage = use(await openStage({ redis: true }));
    const queue = use(createQueueAdapter({ redis: { url: stage.redis.url }, fallback: 'memory' }));
    const health = use(
      createHealth({
        intervalMs: 50,
        failuresBeforeDown: 1,
        components: { jobs: { group: 'queues', critical: false, check: checkOf(queue) } },
      }),
    );
    const adjusted: string[] = [];
    const degradation = use(
      createGracefulDegradation({
        restoreAfterMs: 3_000,
        features: {
          jobs: {},
          receipts: {
            needs: ['jobs'],
            adjust: (state) => adjusted.push(state),
            restore: () => adjusted.push('on'),
          },
        },
      }),
    );
    await waitUntil(() => health.report().status === 'pass');
    const statuses: string[] = [];
    health.on('component-changed', ({ to, reason = '' }) => {
      statuses.push(to);
      if (to === 'pass') degradation.restoreFeature('jobs');
      else degradation.degradeFeature('jobs', reason, 'degraded');
    });
    for (let flap = 1; flap <= FLAPS; flap += 1) {
      await stage.redis.kill();
      await queue.enqueue('emails', { to: 'a@example.org' });
      await waitUntil(() => health.report().status === 'warn');
      await stage.redis.start();
      await waitUntil(() => health.report().status === 'pass');
    }
    await waitUntil(() => degradation.report('receipts').effective === 'on');
    expect(statuses.filter((status) => status === 'pass').length).toBeGreaterThanOrEqual(FLAPS);
    expect(adjusted).toEqual(['degraded', 'on']);
    return { note: `${statuses.length} changes of health, two of the feature` };
  },
);
