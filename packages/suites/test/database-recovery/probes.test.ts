import { describe, expect, test } from '@jest/globals';
import { probes } from '@holdfast/database/probes';
import { probeInChild } from '../../src/database/probe-child.ts';

// What a pool does is the same whatever the server runs in.
const where = process.env['HOLDFAST_STAGE'] === 'docker' ? describe.skip : describe;

where('probes', () => {
  test.each(probes.map(({ name }) => [name]))('our pool holds: %s', async (probe) => {
    expect(await probeInChild('holdfast', probe)).toMatchObject({ probe, verdict: 'holds' });
  });

  test('a probe finds a pool that ends the process', async () => {
    const row = await probeInChild('pg.Pool', 'idle link lost, no listener');
    expect(row).toMatchObject({ verdict: 'dies', seen: expect.stringContaining('terminat') });
  });

  test('a probe finds a pool that acknowledges what nobody can see', async () => {
    const row = await probeInChild('pg.Pool', 'released with an open transaction');
    expect(row).toMatchObject({ verdict: 'lies' });
  });
});
