import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { type Distribution, type FaultProxy } from '@holdfast/faults';
import { fate, openBench, quiet, read } from '../servers.ts';

const LATENCY_MS = 3;
const JITTER_MS = 1;
const CONNECTIONS = 10;
const MESSAGES = 40;

/** What each draws, of some hundred draws: bounds that hold for the seed, and its shape. */
const shapes: Record<
  'uniform' | 'normal' | 'exponential' | 'pareto',
  (drawn: Distribution) => boolean
> = {
  uniform: ({ minMs, meanMs, maxMs }) =>
    minMs >= 2 && minMs < 2.1 && maxMs <= 4 && maxMs > 3.9 && Math.abs(meanMs - 3) < 0.1,
  normal: ({ minMs, meanMs, p90Ms, maxMs }) =>
    minMs < 1.5 && maxMs > 4.5 && Math.abs(meanMs - 3) < 0.2 && Math.abs(p90Ms - 4.28) < 0.3,
  exponential: ({ minMs, meanMs, p50Ms, maxMs }) =>
    minMs >= 3 && Math.abs(meanMs - 4) < 0.2 && Math.abs(p50Ms - 3.69) < 0.2 && maxMs > 6,
  pareto: ({ minMs, meanMs, p50Ms, p999Ms }) =>
    minMs >= 3 && Math.abs(meanMs - 4) < 0.4 && Math.abs(p50Ms - 3.52) < 0.2 && p999Ms > 8,
};

test.each(['uniform', 'normal', 'exponential', 'pareto'] as const)(
  'delays drawn from the %s distribution have its shape, and responses have these delays',
  async (distribution) => {
    const bench = await openBench({ seed: 7 });
    const options = { latencyMs: LATENCY_MS, jitterMs: JITTER_MS, distribution } as const;
    try {
      bench.proxy.faults.set('latency', { ...options, direction: 'toClient' });
      const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => bench.dial()));
      await Promise.all(
        clients.map(async (client) => {
          for (let message = 0; message < MESSAGES; message += 1) {
            client.write('?');
            await read(client, 1);
          }
        }),
      );
      const { wantedDelay, achievedDelay } = bench.proxy.getStats();
      expect(wantedDelay.count).toBe(CONNECTIONS * MESSAGES);
      expect({ ...wantedDelay, hasShape: shapes[distribution](wantedDelay) }).toMatchObject({
        hasShape: true,
      });
      expect(achievedDelay.minMs).toBeGreaterThanOrEqual(wantedDelay.minMs);
      expect(achievedDelay.p50Ms).toBeGreaterThanOrEqual(wantedDelay.p50Ms);
    } finally {
      await bench.close();
    }
  },
);

/** Resolves when the faults in force are, or are no longer, there. */
async function untilInForce(proxy: FaultProxy, isInForce: boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = proxy.on('changed', ({ active }) => {
      if (active.length > 0 !== isInForce) return;
      stop();
      resolve();
    });
  });
}

test("a scheduled blackhole holds a socket's bytes in each period, and not between them", async () => {
  const bench = await openBench();
  const { proxy } = bench;
  try {
    const client = await bench.dial();
    proxy.faults.set('blackhole', { schedule: { afterMs: 50, forMs: 100, everyMs: 300 } });
    for (let turn = 1; turn <= 3; turn += 1) {
      await untilInForce(proxy, true);
      const order: string[] = [];
      const over = untilInForce(proxy, false).then(() => order.push('over'));
      client.write('held back');
      const answer = read(client, 9).then(() => order.push('answer'));
      await Promise.all([over, answer]);
      expect(order).toEqual(['over', 'answer']);
      expect(proxy.getStats().bytesToClient).toBe(turn * 9);
    }
  } finally {
    await bench.close();
  }
});

test("the proxy's counters match its sockets at any time", async () => {
  const bench = await openBench();
  const { proxy } = bench;
  try {
    const [one, other] = [await bench.dial(), await bench.dial()];
    one.write('12345');
    await read(one, 5);
    expect(proxy.getStats()).toMatchObject({
      connectionsOpen: 2,
      connectionsTotal: 2,
      bytesToServer: 5,
      bytesToClient: 5,
      injected: { reset: 0, latency: 0 },
    });
    proxy.faults.set('latency', { latencyMs: 1 });
    expect(proxy.getStats().injected.latency).toBe(2);
    proxy.faults.set('latency', { latencyMs: 2 });
    other.write('678');
    await read(other, 3);
    expect(proxy.getStats().wantedDelay).toMatchObject({ count: 2, minMs: 2, maxMs: 2 });
    const fates = [fate(one), fate(other)];
    proxy.faults.set('reset');
    expect(await Promise.all(fates)).toEqual(['ECONNRESET', 'ECONNRESET']);
    while (proxy.getStats().connectionsOpen > 0) await quiet();
    proxy.faults.set('down');
    expect(await fate(connect(proxy.port, proxy.host))).toBe('ECONNREFUSED');
    expect(proxy.getStats()).toMatchObject({
      connectionsTotal: 2,
      injected: { reset: 2, latency: 4 },
      bytesToServer: 8,
    });
  } finally {
    await bench.close();
  }
});
