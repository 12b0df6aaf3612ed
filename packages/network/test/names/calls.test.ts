import { expect, test } from '@jest/globals';
import {
  type AddressSet,
  type NameAnswer,
  NameLimitError,
  NameQueueFullError,
  NameTimeoutError,
  NetworkClosedError,
} from '@holdfast/network';
import { InvalidOptionError } from '@holdfast/foundation';
import { found, never, openFixture } from './fake-source.ts';

const family = 4;

test("a caller's abort leaves the others waiting, and the last one's ends the question", async () => {
  const { clock, source, resolver } = openFixture({ 'db.test 4': never });
  const controllers = Array.from({ length: 3 }, () => new AbortController());
  const calls = controllers.map(({ signal }) => resolver.resolve('db.test', { family, signal }));
  const reasons = controllers.map((_, index) => new Error(`caller ${index}`));
  const outcomes = Promise.allSettled(calls);
  controllers[0]?.abort(reasons[0]);
  controllers[1]?.abort(reasons[1]);
  await clock.advance(1);
  expect(source.aborted).toEqual([]);
  controllers[2]?.abort(reasons[2]);
  expect(await outcomes).toEqual(reasons.map((reason) => ({ status: 'rejected', reason })));
  expect(source.aborted).toEqual(['db.test 4']);
  expect(resolver.getStats()).toMatchObject({ inFlight: 0, waiting: 0 });
  expect(clock.pendingTimers).toBe(0);
});

test('a caller that joins late has its own deadline, not that of the first', async () => {
  const late = Promise.withResolvers<NameAnswer>();
  const { clock, resolver } = openFixture({ 'db.test 4': late.promise });
  const first = resolver.resolve('db.test', { family, timeoutMs: 1_000 });
  const firstOutcome = first.catch((error: unknown) => error);
  await clock.advance(900);
  const second = resolver.resolve('db.test', { family, timeoutMs: 1_000 });
  await clock.advance(100);
  expect(await firstOutcome).toBeInstanceOf(NameTimeoutError);
  await clock.advance(800);
  late.resolve(found(1_000, '10.0.0.1'));
  expect((await second).addresses).toEqual([{ address: '10.0.0.1', family: 4 }]);
});

test('a signal that has aborted rejects with its reason, and nothing is asked', async () => {
  const { source, resolver } = openFixture({ 'db.test 4': found(1_000, '10.0.0.1') });
  const reason = new Error('stop');
  const call = resolver.resolve('db.test', { family, signal: AbortSignal.abort(reason) });
  await expect(call).rejects.toBe(reason);
  await resolver.resolve('db.test', { family });
  const known = resolver.resolve('db.test', { family, signal: AbortSignal.abort(reason) });
  await expect(known).rejects.toBe(reason);
  expect(source.asked).toHaveLength(1);
});

test('at most as many questions are in flight as allowed; the others wait in order, and too many are refused', async () => {
  const gates = new Map<string, (answer: NameAnswer) => void>();
  const scripts = Object.fromEntries(
    Array.from({ length: 7 }, (_, index) => {
      const { promise, resolve } = Promise.withResolvers<NameAnswer>();
      gates.set(`n${index}.test`, resolve);
      return [`n${index}.test 4`, promise];
    }),
  );
  const { clock, source, resolver } = openFixture(scripts, { maxInFlight: 2, maxWaiting: 4 });
  const calls = [...gates.keys()].map((name) => resolver.resolve(name, { family }));
  const refused = calls[6]?.catch((error: unknown) => error);
  await clock.advance(1);
  expect(source.asked).toEqual(['n0.test 4', 'n1.test 4']);
  expect(resolver.getStats()).toMatchObject({ inFlight: 2, waiting: 4 });
  expect(await refused).toBeInstanceOf(NameQueueFullError);
  gates.get('n1.test')?.(found(1_000, '10.0.0.1'));
  await clock.advance(1);
  expect(source.asked).toEqual(['n0.test 4', 'n1.test 4', 'n2.test 4']);
  for (const open of gates.values()) open(found(1_000, '10.0.0.1'));
  await Promise.all(calls.slice(0, 6));
});

test('names without an answer do not keep others waiting', async () => {
  const slow = Object.fromEntries(
    Array.from({ length: 8 }, (_, index) => [`s${index}.test 4`, never]),
  );
  const scripts = { ...slow, 'quick.test 4': found(1_000, '10.0.0.1') };
  const { clock, resolver } = openFixture(scripts, { maxInFlight: 4 });
  const calls = Object.keys(slow).map((key) => resolver.resolve(key.slice(0, -2), { family }));
  const all = Promise.allSettled(calls);
  const quick = resolver.resolve('quick.test', { family });
  await clock.advance(700);
  expect((await quick).addresses).toHaveLength(1);
  await clock.advance(4_300);
  expect((await all).every(({ status }) => status === 'rejected')).toBe(true);
});

test('a call that waits for its turn has its deadline all the same', async () => {
  const { clock, source, resolver } = openFixture(
    { 'a.test 4': never, 'b.test 4': never },
    { maxInFlight: 1 },
  );
  const first = resolver.resolve('a.test', { family, timeoutMs: 10_000 });
  const second = resolver.resolve('b.test', { family, timeoutMs: 100 });
  const outcomes = Promise.allSettled([first, second]);
  await clock.advance(100);
  expect(resolver.getStats().waiting).toBe(0);
  await clock.advance(10_000);
  const kinds = (await outcomes).map((each) => each.status === 'rejected' && each.reason.kind);
  expect(kinds).toEqual(['timeout', 'timeout']);
  expect(source.asked).toEqual(['a.test 4']);
});

test('closing rejects what waits, leaves no timer, and can be done twice', async () => {
  const { clock, source, resolver } = openFixture({ 'db.test 4': never });
  const call = resolver.resolve('db.test', { family }).catch((error: unknown) => error);
  await resolver.close();
  await resolver.close();
  expect(await call).toBeInstanceOf(NetworkClosedError);
  await expect(resolver.resolve('db.test')).rejects.toThrow('the resolver is closed');
  expect(() => resolver.watch('db.test')).toThrow(NetworkClosedError);
  expect(source.aborted).toEqual(['db.test 4']);
  expect(clock.pendingTimers).toBe(0);
});

test('names beyond the bound drive out those that are not used, never those in use or watched', async () => {
  const scripts = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`n${index}.test 4`, found(600_000, '10.0.0.1')]),
  );
  const { source, resolver } = openFixture(scripts, { maxNames: 10 });
  const resolve = (name: string): Promise<AddressSet> => resolver.resolve(name, { family });
  resolver.watch('n0.test');
  for (let index = 1; index < 100; index += 1) {
    await resolve(`n${index}.test`);
    await resolve('n1.test');
    expect(resolver.getStats().names).toBeLessThanOrEqual(10);
  }
  expect(resolver.getStats().evictions).toBe(90);
  source.asked.length = 0;
  await resolve('n1.test');
  expect(source.asked).toEqual([]);
  for (let index = 2; index <= 5; index += 1) resolver.watch(`n${index}.test`);
  expect(() => resolver.watch('n6.test')).toThrow(NameLimitError);
});

test('a family, a timeout or a name that is none is refused by name', async () => {
  const { resolver } = openFixture();
  const options = [{ family: 5 }, { timeoutMs: 0 }, { timeoutMs: NaN }, { timeoutMs: 2 ** 31 }];
  for (const bad of options) {
    // @ts-expect-error: what a caller without types may pass
    await expect(resolver.resolve('db.test', bad)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      field: Object.keys(bad)[0],
    });
  }
  expect(() => resolver.report('db.test', 'failed')).toThrow(InvalidOptionError);
  // @ts-expect-error: what a caller without types may pass
  expect(() => resolver.report('10.0.0.1', 'gone')).toThrow("'reached' or 'failed'");
});

test('a source that answers nonsense is refused by the field', async () => {
  const bad: Record<string, NameAnswer> = {
    ttlMs: found(-1, '10.0.0.1'),
    addresses: found(1_000, 'fd00::1'),
  };
  const absurd = [found(8 * 86_400_000, '10.0.0.1'), found(NaN, '10.0.0.1'), found(1_000)];
  const fields = [...Object.keys(bad), 'ttlMs', 'ttlMs', 'addresses'];
  for (const [index, answer] of [...Object.values(bad), ...absurd].entries()) {
    const { resolver } = openFixture({ 'db.test 4': answer });
    await expect(resolver.resolve('db.test', { family })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      field: fields[index],
    });
  }
});
