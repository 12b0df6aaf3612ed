import { expect, test } from '@jest/globals';
import {
  type OpenPool,
  type Probe,
  type ProbedPool,
  type ProbedServer,
  probeTable,
  probes,
  runProbe,
} from '@holdfast/database/probes';
import { createFakeClock } from '@holdfast/foundation/testing';

const never = new Promise<never>(() => undefined);

/** A server without faults. */
const server: ProbedServer = {
  url: 'postgres://here/db',
  proxiedUrl: 'postgres://there/db',
  kill: async () => undefined,
  start: async () => undefined,
  freeze: async () => undefined,
  thaw: async () => undefined,
  ask: async () => [{ count: 1 }],
  link: { swallow: () => undefined, cutReplies: () => undefined, heal: async () => undefined },
};

/** A pool that answers everything at once, except for the given methods. */
function poolWith(given: Partial<ProbedPool>): OpenPool {
  const query = async (): Promise<readonly Record<string, unknown>[]> => [{ answer: 42 }];
  return () => ({
    query,
    acquire: async () => ({ query, release: () => undefined }),
    transaction: (work) => work(query),
    end: async () => undefined,
    ...given,
  });
}

function probeNamed(name: string): Probe {
  const probe = probes.find((each) => each.name === name);
  if (probe === undefined) throw new TypeError(`no probe is named ${name}`);
  return probe;
}

async function verdictOf(name: string, given: Partial<ProbedPool>): Promise<string> {
  const clock = createFakeClock();
  const { verdict } = await clock.settle(
    runProbe(probeNamed(name), { open: poolWith(given), server, clock }),
  );
  return verdict;
}

test.each<[string, string, Partial<ProbedPool>]>([
  ['connection never released', 'hangs', { query: () => never }],
  ['connection never released', 'degrades', { query: () => Promise.reject(new Error('too late')) }],
  [
    'connection never released',
    'holds',
    {
      query: () =>
        Promise.reject(Object.assign(new Error('late'), { code: 'DATABASE_ACQUIRE_TIMEOUT' })),
    },
  ],
  ['end while a connection is leased', 'hangs', { end: () => never }],
  ['end while a connection is leased', 'holds', {}],
  ['server is full (53300)', 'degrades', { query: () => Promise.reject(new Error('full')) }],
  ['server is full (53300)', 'holds', {}],
  ['pool asked inside a transaction', 'hangs', { query: () => never }],
  ['exhaustion', 'holds', {}],
])('%s: the probe detects a pool that %s', async (name, verdict, given) => {
  expect(await verdictOf(name, given)).toBe(verdict);
});

test('an acknowledged write that is invisible is a lie', async () => {
  const clock = createFakeClock();
  const blind = { ...server, ask: async () => [{ count: 0 }] };
  for (const name of ['released with an open transaction', 'COMMIT answered by ROLLBACK']) {
    const row = runProbe(probeNamed(name), { open: poolWith({}), server: blind, clock });
    expect(await clock.settle(row)).toMatchObject({ probe: name, verdict: 'lies' });
  }
});

test('a probe without an end is reported as hanging at its limit', async () => {
  const clock = createFakeClock();
  const probe: Probe = { name: 'endless', fault: 'none', run: () => never };
  const row = runProbe(probe, { open: poolWith({}), server, clock, limitMs: 500 });
  expect(await clock.settle(row)).toEqual({
    probe: 'endless',
    verdict: 'hangs',
    seen: 'no end within 500 ms',
  });
  expect(clock.pendingTimers).toBe(0);
});

test('a pool that cannot be opened degrades, with its error', async () => {
  const open = (): never => {
    throw Object.assign(new Error('no'), { code: 'ENOPOOL' });
  };
  const row = await runProbe(probeNamed('exhaustion'), { open, server });
  expect(row).toMatchObject({ verdict: 'degrades', seen: 'ENOPOOL' });
});

test('the table has a row for each probe and a column for each pool', () => {
  const rows = [{ probe: 'a', verdict: 'dies', seen: 'x | y' }] as const;
  const table = probeTable(
    [
      { name: 'a', fault: 'b' },
      { name: 'c', fault: 'd' },
    ],
    [{ pool: 'ours', rows }],
  );
  expect(table.split('\n')).toEqual([
    '| probe | fault | ours |',
    '| --- | --- | --- |',
    '| a | b | **process exits**: x \\| y |',
    '| c | d | not run |',
  ]);
});
