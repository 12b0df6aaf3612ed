import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import {
  type ProxyFaultKind,
  type Storm,
  losslessFaults,
  playStorm,
  shrinkStorm,
  storm,
  withstand,
} from '@holdfast/faults';
import { type Random, nextEvent, seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { openBench } from '../servers.ts';

/** A longer run: `HOLDFAST_FAULT_BYTES=100000000`. */
const totalBytes = Number(process.env['HOLDFAST_FAULT_BYTES'] ?? 10_000_000);
const seeds = [1, 2, 3, 4, 5];

/** Sends random bytes in random pieces, some at each turn, then the end; the hash of what was sent. */
async function sendRandomBytes(
  client: Socket,
  length: number,
  random: Random,
  turns: { count: number; next: () => Promise<unknown> },
): Promise<string> {
  const hash = createHash('sha256');
  let left = length;
  let untilTurn = 0;
  while (left > 0) {
    if (untilTurn <= 0) {
      await turns.next();
      untilTurn = length / turns.count;
    }
    const piece = Buffer.alloc(Math.min(left, 1 + Math.floor(random() ** 4 * 200_000)));
    untilTurn -= piece.length;
    for (let at = 0; at + 4 <= piece.length; at += 4) piece.writeUInt32LE(random() * 2 ** 32, at);
    hash.update(piece);
    left -= piece.length;
    if (!client.write(piece)) await once(client, 'drain');
  }
  client.end();
  return hash.digest('hex');
}

async function received(client: Socket): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of client) hash.update(chunk);
  return hash.digest('hex');
}

test.each(seeds)(
  'after lossless storm %d no byte is lost, duplicated or reordered, and the half-close arrives',
  async (seed) => {
    const bench = await openBench({ seed });
    const weather = storm(seed, { durationMs: 400, maxFaults: 12, kinds: losslessFaults });
    try {
      const playing = playStorm(bench.proxy, weather);
      const turns = {
        count: weather.faults.length,
        next: () => Promise.race([nextEvent(bench.proxy, 'changed'), playing]),
      };
      const lengths = [totalBytes / 10, totalBytes / 20, totalBytes / 20];
      const clients = await Promise.all(lengths.map(() => bench.dial()));
      const echoed = clients.map(received);
      const sent = clients.map((client, index) =>
        sendRandomBytes(client, lengths[index] ?? 0, seededRandom(seed + index), turns),
      );
      expect(await Promise.all(echoed)).toEqual(await Promise.all(sent));
      await playing;
      const { bytesToServer, bytesToClient, injected } = bench.proxy.getStats();
      expect([bytesToServer, bytesToClient]).toEqual([totalBytes / 5, totalBytes / 5]);
      expect(Object.values(injected).filter((count) => count > 0).length).toBeGreaterThan(2);
    } finally {
      await bench.close();
    }
  },
);

test('a storm is data, and its seed reproduces it', () => {
  const drawn = storm(42);
  const kept: unknown = JSON.parse(JSON.stringify(drawn));
  expect(kept).toEqual(storm(42));
  expect(drawn).not.toEqual(storm(43));
  expect(drawn.faults.length).toBeGreaterThan(3);
  expect(drawn.faults.every(({ atMs, forMs }) => atMs + forMs <= 10_000)).toBe(true);
});

test('a storm sets and clears its faults on time, and heals the proxy when it is aborted', async () => {
  const clock = createFakeClock();
  const bench = await openBench({ clock });
  const { proxy } = bench;
  const caller = new AbortController();
  const weather: Storm = {
    seed: 0,
    durationMs: 1_000,
    faults: [
      { atMs: 100, forMs: 50, fault: { kind: 'blackhole', options: {} } },
      { atMs: 120, forMs: 800, fault: { kind: 'latency', options: { latencyMs: 1 } } },
    ],
  };
  try {
    const playing = playStorm(proxy, weather, { clock, signal: caller.signal });
    await clock.advance(99);
    expect(proxy.faults.list()).toEqual([]);
    await clock.advance(21);
    expect(proxy.faults.list()).toEqual(['latency', 'blackhole']);
    await clock.advance(30);
    expect(proxy.faults.list()).toEqual(['latency']);
    caller.abort(new Error('enough'));
    await expect(playing).rejects.toThrow('enough');
    expect(proxy.faults.list()).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  } finally {
    await bench.close();
  }
});

const kindsOf = ({ faults }: Storm): ProxyFaultKind[] => faults.map(({ fault }) => fault.kind);

test('of a hundred failing storms, at least ninety shrink to the two faults that matter', async () => {
  let shrunkToTwo = 0;
  let failing = 0;
  for (let seed = 0; failing < 100; seed += 1) {
    const drawn = storm(seed, { maxFaults: 20 });
    const fails = async (candidate: Storm): Promise<boolean> =>
      kindsOf(candidate).includes('reset') && kindsOf(candidate).includes('latency');
    if (!(await fails(drawn))) continue;
    failing += 1;
    const shrunk = await shrinkStorm(drawn, fails);
    if (kindsOf(shrunk).toSorted().join() === 'latency,reset') shrunkToTwo += 1;
  }
  expect(shrunkToTwo).toBeGreaterThanOrEqual(90);
});

test('the error of a failed storm names its seed, the smaller schedule and the cause', async () => {
  const cause = new Error('a job was lost');
  const drawn = storm(7);
  const first = kindsOf(drawn)[0];
  const run = async (candidate: Storm): Promise<void> => {
    if (first !== undefined && kindsOf(candidate).includes(first)) throw cause;
  };
  const failure = withstand(drawn, run);
  await expect(failure).rejects.toMatchObject({ code: 'FAULTS_STORM_FAILED', seed: 7, cause });
  await expect(failure).rejects.toThrow('Replay it with storm(7)');
  await expect(failure).rejects.toMatchObject({
    shrunk: { faults: [{ forMs: 1, fault: { kind: first } }] },
  });
  await withstand(drawn, async () => {});
});

test('an unknown kind is refused', () => {
  const draw: (seed: number, options: object) => Storm = storm;
  expect(() => draw(1, { kinds: ['meteor'] })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'kinds' }),
  );
});
