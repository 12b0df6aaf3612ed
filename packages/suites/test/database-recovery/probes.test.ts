import { describe, expect, test } from '@jest/globals';
import { probes } from '@holdfast/database/probes';
import { probeInChild } from '../../src/database/probe-child.ts';
import { isPart } from '../../src/database/scenario.ts';

const onServers = new Set(['server killed, started again', 'server frozen']);
const played = probes.filter(({ name }) => !isPart || onServers.has(name));
// What other pools do is left out of a part as well.
const beside = isPart ? describe.skip : describe;

describe('probes', () => {
  test.each(played.map(({ name }) => [name]))('our pool holds: %s', async (probe) => {
    expect(await probeInChild('holdfast', probe)).toMatchObject({ probe, verdict: 'holds' });
  });
});

beside('probes of others', () => {
  test('a probe finds a pool that ends the process', async () => {
    const row = await probeInChild('pg.Pool', 'idle connection lost, no listener');
    expect(row).toMatchObject({ verdict: 'dies', seen: expect.stringContaining('terminat') });
  });

  test('a probe finds a pool that acknowledges what nobody can see', async () => {
    const row = await probeInChild('pg.Pool', 'released with an open transaction');
    expect(row).toMatchObject({ verdict: 'lies' });
  });
});
