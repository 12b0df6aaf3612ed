import { expect, test } from '@jest/globals';
import { fail } from '../../src/backend.ts';
import { isMarkKey } from '../../src/replication/removal-marks.ts';
import { AWAY, DENIED, type TestStorage, openTestStorage, textAt } from '../open-storage.ts';
import { QUEUED, closed, flushed } from './copies.ts';

/** The calls at the primary that change something, in their order. */
function writesAt({ primary }: TestStorage, fault?: (key: string) => boolean): string[] {
  const writes: string[] = [];
  primary.intercept = ({ kind, key }) => {
    if (kind !== 'put' && kind !== 'remove') return undefined;
    writes.push(isMarkKey(key) ? 'mark' : `${kind} ${key}`);
    return fault?.(key) === true ? { before: AWAY } : undefined;
  };
  return writes;
}

test('a removal is sent only after its mark, and waits while the mark cannot be written', async () => {
  const one = await openTestStorage(QUEUED);
  await one.storage.upload('k', 'x');
  await flushed(one);
  let isMarkAway = true;
  const writes = writesAt(one, (key) => isMarkAway && isMarkKey(key));
  await one.storage.remove('k');
  await one.clock.advance(5_000);
  expect(new Set(writes)).toEqual(new Set(['mark']));
  expect(textAt(one.primary, 'k')).toBe('x');
  isMarkAway = false;
  await flushed(one);
  expect(writes.slice(-2)).toEqual(['mark', 'remove k']);
  expect(textAt(one.primary, 'k')).toBeUndefined();
  await closed(one);
});

test('removals at once share their marks, and a removal that is tried again needs no other', async () => {
  const one = await openTestStorage(QUEUED);
  const keys = Array.from({ length: 200 }, (_, index) => `k${index}`);
  for (const key of keys) await one.storage.upload(key, 'x');
  await flushed(one);
  const failed = new Set<string>();
  const writes = writesAt(one, (key) => {
    const fails = key.endsWith('7') && !failed.has(key);
    if (fails) failed.add(key);
    return fails;
  });
  await Promise.all(keys.map((key) => one.storage.remove(key)));
  await flushed(one);
  expect(failed.size).toBe(20);
  expect(writes.filter((write) => write !== 'mark')).toHaveLength(220);
  expect(writes.filter((write) => write === 'mark').length).toBeLessThanOrEqual(20);
  await closed(one);
});

test('a full backend takes no mark: what is removed makes room all the same', async () => {
  const one = await openTestStorage(QUEUED);
  await one.storage.upload('k', 'x');
  await flushed(one);
  const full = fail('transient', 'no space left on device', { code: 'ENOSPC' });
  one.primary.intercept = ({ kind }) => (kind === 'put' ? { before: full } : undefined);
  await one.storage.remove('k');
  await flushed(one);
  expect(textAt(one.primary, 'k')).toBeUndefined();
  await closed(one);
});

test('a backend that is denied for a while is no backend without marks', async () => {
  const one = await openTestStorage({ ...QUEUED, deniedProbeMs: 1_000 });
  await one.storage.upload('k', 'x');
  await flushed(one);
  one.primary.intercept = () => ({ before: DENIED });
  await one.storage.remove('k');
  await one.clock.advance(3_000);
  const writes = writesAt(one);
  await flushed(one);
  expect(writes).toEqual(['mark', 'remove k']);
  await closed(one);
});
