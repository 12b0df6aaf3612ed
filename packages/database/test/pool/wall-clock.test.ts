import { expect, test } from '@jest/globals';
import type { FakeClock } from '@holdfast/foundation/testing';
import { type PoolBench, codeOf, openPool } from './pool-bench.ts';
import { hostError, serverError } from './scripted-connection.ts';

/** What a pool does at one moment; called every 50 ms. */
type Play = (step: number) => unknown;

/** Everything of a pool that expires or is tried again. */
const scenarios: Readonly<Record<string, (bench: PoolBench) => Play>> = {
  'attempts to connect to a host that is down': ({ take, connector }) => {
    connector.failure = hostError('ECONNREFUSED');
    const fates: string[] = [];
    return (step) => {
      if (step % 8 === 0) void take(900).catch((error: unknown) => fates.push(codeOf(error)));
      return [connector.attempts, [...fates]];
    };
  },
  'attempts after connections that die at once':
    ({ take, connector }) =>
    async () => {
      const connection = connector.connections.at(-1);
      if (connection?.alive === true) connection.lose(new Error('cut'));
      void take(400).then(
        (pooled) => pooled.release(),
        () => undefined,
      );
      return connector.attempts;
    },
  'idle timeouts, pings and lifetimes': ({ take, connector, pool }) => {
    const free = async (): Promise<void> => (await take()).release();
    return (step) => {
      if (step % 9 === 0) void Promise.all([free(), free()]);
      return [
        connector.connections.map(({ closed, sent }) => [closed, sent.length]),
        pool.counts.retired,
      ];
    };
  },
  'the number that a full server accepts': ({ take, connector, pool }) => {
    connector.decide = () => (pool.snapshot().total > 1 ? serverError('53300') : undefined);
    return async (step) => {
      if (step === 20) connector.decide = undefined;
      void take(60).then(
        (pooled) => step % 5 === 0 && pooled.release(),
        () => undefined,
      );
      return [pool.snapshot().cap, connector.attempts];
    };
  },
};

const HOUR_MS = 3_600_000;
const jumpsMs = [HOUR_MS, -5 * HOUR_MS, 30, -90, 24 * HOUR_MS, -1, 0, -24 * HOUR_MS];

async function traceOf(
  name: string,
  step: (clock: FakeClock, at: number) => void,
): Promise<unknown[]> {
  const bench = openPool({ idleTimeoutMs: 400, maxLifetimeMs: 1_500, validateAfterIdleMs: 200 });
  const play = scenarios[name]?.(bench);
  const trace: unknown[] = [];
  for (let at = 0; at < 60; at += 1) {
    trace.push(JSON.parse(JSON.stringify(await play?.(at))));
    step(bench.clock, at);
    await bench.clock.advance(50);
  }
  return trace;
}

test.each(Object.keys(scenarios))('%s do not depend on the wall clock', async (name) => {
  const steady = await traceOf(name, () => undefined);
  const stepped = await traceOf(name, (clock, at) =>
    clock.stepWallClock(jumpsMs[at % jumpsMs.length] ?? 0),
  );
  expect(stepped).toEqual(steady);
  // The scenario does something at all.
  expect(new Set(steady.map((at) => JSON.stringify(at))).size).toBeGreaterThan(3);
});
