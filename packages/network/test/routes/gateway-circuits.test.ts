import { expect, test } from '@jest/globals';
import { A, B, type Answer, whole, refused, silent, open } from './gateway-fixtures.ts';

test.each(['ordered', 'fastest'] as const)(
  'all gateways fail, then one returns: the next download is served, whatever their circuits say (%s)',
  async (strategy) => {
    let answer: Answer = refused;
    const current: Answer = (asked) => answer(asked);
    const { gateways, asked } = open({ [A]: current, [B]: refused }, { strategy, hedgeAfterMs: 0 });
    for (let call = 0; call < 10; call += 1) {
      await expect(gateways.download('/x')).rejects.toMatchObject({
        code: 'NETWORK_GATEWAYS_FAILED',
      });
    }
    expect(gateways.getStats().gateways.map(({ circuit }) => circuit.state)).toEqual([
      'open',
      'open',
    ]);
    answer = whole();
    expect((await gateways.download('/x')).gateways).toEqual([A]);
    expect(gateways.getStats().gateways[0]?.circuit.state).toBe('closed');
    const before = asked.length;
    await Promise.all(Array.from({ length: 5 }, () => gateways.download('/x')));
    expect(asked.length).toBeGreaterThanOrEqual(before + 5);
  },
);

test('while all circuits are open, gateways that hang are asked for a tenth of the time', async () => {
  const { gateways, asked, clock } = open({ [A]: silent }, { headTimeoutMs: 1_000 });
  const fail = (): Promise<unknown> => gateways.download('/x').catch((error: unknown) => error);
  for (let call = 0; call < 3; call += 1) await clock.settle(fail());
  const all = [fail(), fail(), fail()];
  // One asks; the others are told at once.
  await Promise.all(all.slice(1));
  expect(asked).toHaveLength(4);
  await clock.settle(Promise.all(all));
  expect(clock.now()).toBe(4_000);
  await fail();
  expect(asked).toHaveLength(4);
  await clock.advance(9_000);
  await clock.settle(fail());
  expect(asked).toHaveLength(5);
});
