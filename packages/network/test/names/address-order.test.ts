import { expect, test } from '@jest/globals';
import { type Resolver } from '@holdfast/network';
import { found, openFixture } from './fake-source.ts';

async function firsts(resolver: Resolver, calls: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let call = 0; call < calls; call += 1) {
    const { addresses } = await resolver.resolve('db.test');
    const first = addresses[0]?.address ?? '';
    counts[first] = (counts[first] ?? 0) + 1;
  }
  return counts;
}

const scripts = {
  'db.test 4': found(600_000, '10.0.0.1', '10.0.0.2', '10.0.0.3'),
  'db.test 6': found(600_000, 'fd00::1'),
};

test('calls are spread over the addresses evenly', async () => {
  const { resolver } = openFixture(scripts);
  expect(await firsts(resolver, 300)).toEqual({
    '10.0.0.1': 100,
    '10.0.0.2': 100,
    '10.0.0.3': 100,
  });
});

test('families alternate, beginning with the one that is wanted first', async () => {
  const { resolver } = openFixture(scripts, { familyOrder: 'ipv6first' });
  const { addresses } = await resolver.resolve('db.test');
  expect(addresses.map(({ family }) => family)).toEqual([6, 4, 4, 4]);
});

test('a failed address comes last for 30 s, and the others share its calls', async () => {
  const { clock, resolver } = openFixture(scripts);
  await firsts(resolver, 10);
  resolver.report('10.0.0.2', 'failed');
  expect(resolver.getStats().failedAddresses).toBe(1);
  expect(await firsts(resolver, 100)).toEqual({ '10.0.0.1': 50, '10.0.0.3': 50 });
  const { addresses } = await resolver.resolve('db.test');
  expect(addresses.at(-1)?.address).toBe('10.0.0.2');
  await clock.advance(29_999);
  expect(await firsts(resolver, 100)).not.toHaveProperty(['10.0.0.2']);
  await clock.advance(1);
  expect(await firsts(resolver, 99)).toEqual({ '10.0.0.1': 33, '10.0.0.2': 33, '10.0.0.3': 33 });
});

test('a failed address that is reached again is one of the others at once', async () => {
  const { resolver } = openFixture(scripts);
  resolver.report('10.0.0.2', 'failed');
  await firsts(resolver, 3);
  resolver.report('10.0.0.2', 'reached');
  expect(Object.keys(await firsts(resolver, 3))).toHaveLength(3);
  expect(resolver.getStats().failedAddresses).toBe(0);
});

test('when all have failed, all are still there, the one that failed first in front', async () => {
  const { clock, resolver } = openFixture({ 'db.test 4': found(600_000, '10.0.0.1', '10.0.0.2') });
  resolver.report('10.0.0.2', 'failed');
  await clock.advance(10);
  resolver.report('10.0.0.1', 'failed');
  const { addresses } = await resolver.resolve('db.test', { family: 4 });
  expect(addresses.map(({ address }) => address)).toEqual(['10.0.0.2', '10.0.0.1']);
});

test('what is remembered of failed addresses is bounded', async () => {
  const { resolver } = openFixture();
  for (let index = 0; index < 10_500; index += 1) {
    resolver.report(`10.${index >> 8}.${index & 255}.1`, 'failed');
  }
  expect(resolver.getStats().failedAddresses).toBe(10_000);
});
