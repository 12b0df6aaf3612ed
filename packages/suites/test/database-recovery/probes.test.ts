import { describe, expect, test } from '@jest/globals';
import { probes } from '@holdfast/database/probes';
import { probeInChild } from '../../src/database/probe-child.ts';
import { hasImage, isContained } from '../../src/database/scenario.ts';

// What a pool does is the same whatever the server runs in; there only what is done to the server itself is played.
const where = !isContained || hasImage ? describe : describe.skip;
const onServers = ['server killed, started again', 'server frozen'];
const played = probes.filter(({ name }) => !isContained || onServers.includes(name));

where('probes', () => {
  test.each(played.map(({ name }) => [name]))('our pool holds: %s', async (probe) => {
    expect(await probeInChild('holdfast', probe)).toMatchObject({ probe, verdict: 'holds' });
  });
});

(isContained ? describe.skip : describe)('probes of others', () => {
  test('a probe finds a pool that ends the process', async () => {
    const row = await probeInChild('pg.Pool', 'idle link lost, no listener');
    expect(row).toMatchObject({ verdict: 'dies', seen: expect.stringContaining('terminat') });
  });

  test('a probe finds a pool that acknowledges what nobody can see', async () => {
    const row = await probeInChild('pg.Pool', 'released with an open transaction');
    expect(row).toMatchObject({ verdict: 'lies' });
  });
});
