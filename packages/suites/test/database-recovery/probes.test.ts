import { describe, expect, test } from '@jest/globals';
import { probes } from '@holdfast/database/probes';
import { probeInChild } from '../../src/database/probe-child.ts';
import { hasImage, isContained } from '../../src/database/scenario.ts';

// In containers none without an image, and there only what is done to the server itself: what a pool does is the
// same whatever the server runs in.
const where = !isContained || hasImage ? describe : describe.skip;
const onServers = new Set(['server killed, started again', 'server frozen']);
const played = probes.filter(({ name }) => !isContained || onServers.has(name));

// What other pools do is the same there, too.
const beside = isContained ? describe.skip : describe;

where('probes', () => {
  test.each(played.map(({ name }) => [name]))('our pool holds: %s', async (probe) => {
    expect(await probeInChild('holdfast', probe)).toMatchObject({ probe, verdict: 'holds' });
  });
});

beside('probes of others', () => {
  test('a probe finds a pool that ends the process', async () => {
    const row = await probeInChild('pg.Pool', 'idle link lost, no listener');
    expect(row).toMatchObject({ verdict: 'dies', seen: expect.stringContaining('terminat') });
  });

  test('a probe finds a pool that acknowledges what nobody can see', async () => {
    const row = await probeInChild('pg.Pool', 'released with an open transaction');
    expect(row).toMatchObject({ verdict: 'lies' });
  });
});
