import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import { createDecisionLog } from '../../src/decision-log.ts';
import { FaultInjector } from '../../src/fault-injector.ts';
import { httpFaultKinds, parseHttpFault } from '../../src/http/http-faults.ts';
import { plays } from './decision-runs.ts';

const SEED = 42;

async function inWorker(mode: string, seed: number): Promise<unknown> {
  const worker = new Worker(join(import.meta.dirname, 'decisions-worker.ts'), {
    workerData: { mode, seed },
    execArgv: [],
  });
  try {
    const [decided]: unknown[] = await once(worker, 'message');
    return decided;
  } finally {
    await worker.terminate();
  }
}

test.each(Object.entries(plays))(
  'equal seeds give equal decisions of %s, also in a worker, and another seed gives others',
  async (mode, play) => {
    const first = await play(SEED);
    expect(first.count).toBeGreaterThanOrEqual(30);
    expect(await play(SEED)).toEqual(first);
    expect(await inWorker(mode, SEED)).toEqual(first);
    expect((await play(SEED + 1)).hash).not.toBe(first.hash);
  },
);

test('equal seeds inject into the same HTTP requests in 1 000 runs, another seed into others', () => {
  const decide = (seed: number): string => {
    const log = createDecisionLog();
    const injector = new FaultInjector(httpFaultKinds, { seed, log });
    injector.set('status', parseHttpFault('status', { status: 500, probability: 0.3 }));
    injector.set('delay', parseHttpFault('delay', { delayMs: 1, probability: 0.5, times: 9 }));
    for (let request = 0; request < 50; request += 1) injector.draw([request]);
    return log.read().hash;
  };
  const hashes = new Set(Array.from({ length: 1_000 }, () => decide(SEED)));
  expect(hashes.size).toBe(1);
  expect(hashes.has(decide(SEED + 1))).toBe(false);
});
