import { expect } from '@jest/globals';
import { PERSISTENT } from '../../../src/redis-fixture.ts';
import { runOutage } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const COMMAND_TIMEOUT_MS = 500;

scenario(
  FAMILY,
  {
    promise: 'a network that swallows everything is noticed within the command deadline',
    fault: 'black hole both ways for 3 s',
    settings: PERSISTENT,
  },
  async (arena) => {
    const proxy = await arena.proxy();
    const outcome = await runOutage(arena, {
      inject: async () => proxy.faults.set('blackhole'),
      lastsMs: 3_000,
      recover: () => proxy.heal(),
      queue: {
        redis: { url: `redis://${proxy.host}:${proxy.port}` },
        commandTimeoutMs: COMMAND_TIMEOUT_MS,
      },
    });
    expect(outcome.detectedAfterMs).toBeLessThan(COMMAND_TIMEOUT_MS * 10);
    return outcome;
  },
);

scenario(
  FAMILY,
  {
    promise: 'what Redis did although its replies were lost is not done again',
    fault: 'replies swallowed until the deadline, then every connection reset for 1 s',
    settings: PERSISTENT,
  },
  async (arena) => {
    const proxy = await arena.proxy();
    const outcome = await runOutage(arena, {
      inject: async (_arena, queue) => {
        const noticed = new Promise<void>((resolve) => {
          queue.on('spilled', () => resolve());
        });
        proxy.faults.set('blackhole', { direction: 'toClient' });
        await noticed;
        proxy.faults.set('reset');
        await proxy.faults.clear('blackhole');
      },
      lastsMs: 1_000,
      recover: () => proxy.heal(),
      queue: {
        redis: { url: `redis://${proxy.host}:${proxy.port}` },
        commandTimeoutMs: COMMAND_TIMEOUT_MS,
      },
      // The batch whose reply was lost is in Redis already, and in the journal as well.
      after: (queue) => expect(queue.getStats().alreadyApplied).toBeGreaterThan(0),
    });
    return outcome;
  },
);
