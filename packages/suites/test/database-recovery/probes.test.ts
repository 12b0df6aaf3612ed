import { describe, expect, test } from '@jest/globals';
import { probes } from '@holdfast/database/probes';
import { probeInChild } from '../../src/database/probe-child.ts';
import { isPart } from '../../src/database/scenario.ts';

const onServers = new Set(['server killed, started again', 'server frozen']);
const chosen = probes.filter(({ name }) => !isPart || onServers.has(name));
// A partial run also skips the probes of other pools.
const beside = isPart ? describe.skip : describe;

describe('probes', () => {
  test.each(chosen.map(({ name }) => [name]))('the pool passes the probe: %s', async (probe) => {
    expect(await probeInChild('holdfast', probe)).toMatchObject({ probe, verdict: 'holds' });
  });
});

beside('probes of other pools', () => {
  test('a probe detects a pool that ends the process', async () => {
    const row = await probeInChild('pg.Pool', 'idle connection lost, no listener');
    expect(row).toMatchObject({ verdict: 'dies', seen: expect.stringContaining('terminat') });
  });

  test('a probe detects a pool that acknowledges uncommitted writes', async () => {
    const row = await probeInChild('pg.Pool', 'released with an open transaction');
    expect(row).toMatchObject({ verdict: 'lies' });
  });
});
