import { expect } from '@jest/globals';
import { AOF_ALWAYS } from '../../../src/redis-fixture.ts';
import { runOutage } from '../../../src/outage.ts';
import { scenario } from '../../../src/scenario.ts';

const FAMILY = 'redis-failover';
const COMMAND_TIMEOUT_MS = 500;

scenario(
  FAMILY,
  {
    promise: 'a network that drops everything is detected within the command deadline',
    fault: 'black hole in both directions for 3 s',
    detectionMs: COMMAND_TIMEOUT_MS,
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const proxy = await fixture.proxy();
    const outcome = await runOutage(fixture, {
      inject: async () => proxy.faults.set('blackhole'),
      lastsMs: 3_000,
      recover: () => proxy.heal(),
      queue: {
        redis: { url: `redis://${proxy.host}:${proxy.port}` },
        commandTimeoutMs: COMMAND_TIMEOUT_MS,
      },
    });
    return outcome;
  },
);

scenario(
  FAMILY,
  {
    promise: 'a job that Redis stored before its reply was lost is not stored again',
    fault: 'replies dropped until the deadline, then every connection reset for 1 s',
    settings: AOF_ALWAYS,
  },
  async (fixture) => {
    const proxy = await fixture.proxy();
    const outcome = await runOutage(fixture, {
      inject: async (_fixture, queue) => {
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
      // The batch whose reply was lost is both in Redis and in the journal.
      after: (queue) => expect(queue.getStats().alreadyApplied).toBeGreaterThan(0),
    });
    return outcome;
  },
);
