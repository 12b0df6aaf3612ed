import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { MemoryBackend, MemoryCall } from '../src/backends/memory.ts';
import { AWAY, DENIED, LOST, openTestStorage, textAt } from './open-storage.ts';

const isWrite = ({ kind }: MemoryCall): boolean => kind === 'put' || kind === 'remove';

function fail(backend: MemoryBackend): void {
  backend.intercept = () => ({ before: AWAY });
}

function heal(backend: MemoryBackend): void {
  backend.intercept = () => undefined;
}

test('a write during an outage is accepted at once, read back, and delivered after it', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage();
  fail(primary);
  await clock.settle(storage.upload('first', 'x'));
  for (let write = 0; write < 5; write += 1) await clock.settle(storage.upload(`k${write}`, 'new'));
  expect(storage.health()).toMatchObject({
    level: 'degraded',
    backends: { primary: { state: 'down' } },
  });
  const before = clock.now();
  expect(await storage.upload('late', 'new')).toMatchObject({ stored: 'queued', fallback: true });
  expect(clock.now()).toBe(before);
  const download = await storage.download('late');
  expect(download.from).toBe('pending');
  expect(textAt(primary, 'late')).toBeUndefined();
  expect(textAt(mirror, 'late')).toBe('new');
  heal(primary);
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'late')).toBe('new');
  expect(storage.pending()).toEqual([]);
  await storage.close();
});

test('while every backend is down a write is local, and its result says so', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage({ acknowledgeWithinMs: 100 });
  fail(primary);
  fail(mirror);
  for (let write = 0; write < 4; write += 1) await clock.settle(storage.upload(`k${write}`, 'x'));
  expect(await storage.upload('k', 'x')).toMatchObject({ stored: 'local', fallback: true });
  expect(storage.health().level).toBe('critical');
  await storage.close({ deadlineMs: 0 });
});

test('one canary goes first after an outage, then two, then four', async () => {
  const { storage, clock, primary } = await openTestStorage({
    acknowledgeWithinMs: 0,
    maxConcurrent: 8,
  });
  fail(primary);
  for (let write = 0; write < 40; write += 1) await storage.upload(`k${write}`, 'x');
  await clock.advance(500);
  let inFlight = 0;
  const peaks: number[] = [];
  primary.intercept = async (call) => {
    if (!isWrite(call)) return undefined;
    inFlight += 1;
    peaks.push(inFlight);
    await new Promise<void>((resolve) => void clock.schedule(10, resolve));
    inFlight -= 1;
    return undefined;
  };
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(peaks[0]).toBe(1);
  expect(Math.max(...peaks.slice(0, 3))).toBeLessThanOrEqual(2);
  expect(Math.max(...peaks)).toBe(8);
  await storage.close();
});

test('a canary that fails is the only request until the next probe', async () => {
  const { storage, clock, primary } = await openTestStorage({
    acknowledgeWithinMs: 0,
    circuitBreaker: { openDurationMs: 1_000, maxOpenDurationMs: 1_000 },
  });
  fail(primary);
  for (let write = 0; write < 40; write += 1) await storage.upload(`k${write}`, 'x');
  await clock.advance(900);
  const { puts } = storage.getStats().backends['primary'] ?? { puts: 0 };
  await clock.advance(5_000);
  const later = storage.getStats().backends['primary'] ?? { puts: 0 };
  expect(later.puts - puts).toBeGreaterThanOrEqual(4);
  expect(later.puts - puts).toBeLessThanOrEqual(6);
  await storage.close({ deadlineMs: 0 });
});

test('a backend that denies is probed once a minute, and gets every write once it allows them', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  primary.intercept = (call) => (isWrite(call) ? { before: DENIED } : undefined);
  await storage.upload('k', 'x');
  await clock.advance(10);
  expect(storage.health().backends['primary']).toEqual({
    state: 'denied',
    lastError: 'HTTP 403 AccessDenied',
    answeredMsAgo: expect.any(Number),
  });
  for (let write = 0; write < 20; write += 1) await storage.upload(`k${write}`, 'x');
  await clock.advance(300_000);
  const puts = storage.getStats().backends['primary']?.puts ?? 0;
  expect(puts).toBeLessThanOrEqual(6);
  heal(primary);
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'k19')).toBe('x');
  expect(storage.health().level).toBe('healthy');
  await storage.close();
});

test('a write whose response was lost is recognized, and its bytes are not sent again', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 60_000 });
  let answers = 0;
  primary.intercept = (call) => {
    if (call.kind !== 'put') return undefined;
    answers += 1;
    return answers === 1 ? { after: LOST } : undefined;
  };
  const stored = await clock.settle(storage.upload('k', 'once'));
  expect(stored.stored).toBe('primary');
  expect(storage.getStats().backends['primary']).toMatchObject({ puts: 1, alreadyApplied: 1 });
  await storage.close();
});

test('a write that is applied late does not outlive its successor', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  let delayed: (() => void) | undefined;
  primary.intercept = ({ kind, key, stamp }) => {
    if (kind !== 'put' || delayed !== undefined) return undefined;
    delayed = () =>
      primary.apply(key, Buffer.from('old'), { ...(stamp !== undefined && { stamp }) });
    return { before: LOST };
  };
  await storage.upload('k', 'old');
  await clock.advance(1);
  await storage.upload('k', 'new');
  await clock.advance(5_000);
  expect(textAt(primary, 'k')).toBeUndefined();
  expect(Buffer.from(await (await storage.download('k')).bytes()).toString()).toBe('new');
  delayed?.();
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'k')).toBe('new');
  await storage.close();
});

test('a write found on the server may be its second attempt: the first may still be applied', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  let delayed: (() => void) | undefined;
  primary.intercept = ({ kind, key, stamp }) => {
    if (kind !== 'put' || delayed !== undefined) return undefined;
    delayed = () =>
      primary.apply(key, Buffer.from('old'), { ...(stamp !== undefined && { stamp }) });
    return { before: LOST };
  };
  await storage.upload('k', 'old');
  await clock.advance(1_000);
  expect(textAt(primary, 'k')).toBe('old');
  await storage.upload('k', 'new');
  await clock.advance(3_000);
  delayed?.();
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'k')).toBe('new');
  await storage.close();
});

/** A write whose first two attempts have an unknown result and whose third succeeds, optionally after a removal. */
async function succeedAfterDoubt(before: 'nothing' | 'a removal in doubt') {
  const opened = await openTestStorage({ acknowledgeWithinMs: 0, lateWriteMs: 3_000 });
  const { storage, clock, primary } = opened;
  let lost = 0;
  primary.intercept = (call) => {
    if (!isWrite(call)) return undefined;
    lost += 1;
    return lost <= 2 ? { before: LOST } : undefined;
  };
  if (before === 'a removal in doubt') await storage.remove('k');
  await clock.advance(1);
  await storage.upload('k', 'one');
  while (textAt(primary, 'k') === undefined) await clock.advance(100);
  return opened;
}

test('a success after an unknown result is verified later, and written again if a late write undid it', async () => {
  const { storage, clock, primary } = await succeedAfterDoubt('a removal in doubt');
  const stamp = primary.objects.get('k')?.head.stamp;
  if (stamp === undefined) throw new Error('nothing was stored');
  const { generation, operationId, sha256 } = stamp;
  const seen = nextEvent(storage, 'late-write');
  const earlier = { operationId: `${operationId}0`, generation: generation - 1, sha256 };
  primary.apply('k', Buffer.from('old'), { stamp: earlier });
  await clock.advance(20_000);
  expect(await seen).toMatchObject({ backend: 'primary', path: 'k' });
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'k')).toBe('one');
  await storage.close();
});

test('an object that another writer removed after a success is not restored by the verification', async () => {
  const { storage, clock, primary } = await succeedAfterDoubt('nothing');
  primary.objects.delete('k');
  await clock.advance(20_000);
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'k')).toBeUndefined();
  await storage.close();
});

test('a key that a policy denies does not delay the others', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  primary.intercept = (call) =>
    isWrite(call) && call.key.startsWith('secret/') ? { before: DENIED } : undefined;
  await storage.upload('secret/a', 'x');
  await clock.advance(1);
  await storage.upload('k0', 'x');
  // The next probe is for the same key, the one after it for another.
  await clock.advance(121_000);
  expect(textAt(primary, 'k0')).toBe('x');
  for (let write = 1; write < 20; write += 1) {
    await storage.upload(`k${write}`, 'x');
    await clock.advance(30_000);
    expect(textAt(primary, `k${write}`)).toBe('x');
  }
  expect(storage.pending().map(({ path }) => path)).toEqual(['secret/a']);
  primary.intercept = () => undefined;
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'secret/a')).toBe('x');
  await storage.close();
});

test('of several waiting writes of one key only the latest is sent', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  fail(primary);
  for (let write = 0; write < 20; write += 1) await storage.upload('k', `write ${write}`);
  await clock.advance(2_000);
  heal(primary);
  const before = storage.getStats().backends['primary']?.puts ?? 0;
  await clock.settle(storage.flush({ deadlineMs: 600_000 }));
  expect((storage.getStats().backends['primary']?.puts ?? 0) - before).toBe(1);
  expect(textAt(primary, 'k')).toBe('write 19');
  await storage.close();
});

test('after a kill with a full journal the next process continues without sending bytes twice', async () => {
  const first = await openTestStorage({ acknowledgeWithinMs: 0, inlineBytes: 10 });
  first.primary.intercept = (call) => (isWrite(call) ? { before: AWAY } : undefined);
  for (let write = 0; write < 30; write += 1) {
    await first.storage.upload(`k${write}`, 'x'.repeat(write));
  }
  await first.storage.remove('k0');
  await first.clock.advance(50);
  const second = await first.restart();
  expect(second.storage.pending()).toHaveLength(30);
  heal(first.primary);
  expect(await second.clock.settle(second.storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(second.primary, 'k29')).toBe('x'.repeat(29));
  expect(textAt(second.primary, 'k0')).toBeUndefined();
  expect(second.storage.getStats().backends['mirror']?.puts).toBe(0);
  expect(second.files.names().filter((name) => name.includes('.blob'))).toEqual([]);
  await second.storage.close();
});

test('a later process uses later generations, even if the journal has released the earlier ones', async () => {
  const first = await openTestStorage({ acknowledgeWithinMs: 60_000 });
  for (let write = 0; write < 5; write += 1)
    await first.clock.settle(first.storage.upload('k', 'x'));
  await first.clock.settle(first.storage.flush({ deadlineMs: 60_000 }));
  await first.clock.advance(5_000);
  const before = first.primary.objects.get('k')?.head.stamp?.generation ?? Infinity;
  const second = await first.restart();
  await second.clock.settle(second.storage.upload('k', 'y'));
  expect(second.primary.objects.get('k')?.head.stamp?.generation).toBeGreaterThan(before);
  await second.storage.close();
});

test('an object deleted during an outage stays deleted after it', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage();
  await storage.upload('k', 'x');
  fail(primary);
  await clock.settle(storage.remove('k'));
  expect(await storage.exists('k')).toBe(false);
  await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
  heal(primary);
  await clock.settle(storage.flush({ deadlineMs: 600_000 }));
  expect([textAt(primary, 'k'), textAt(mirror, 'k')]).toEqual([undefined, undefined]);
  await storage.close();
});

test('a step of the wall clock changes no decision', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  fail(primary);
  await storage.upload('k', 'before');
  clock.stepWallClock(-86_400_000);
  await storage.upload('k', 'after');
  clock.stepWallClock(172_800_000);
  heal(primary);
  expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
  expect(textAt(primary, 'k')).toBe('after');
  await storage.close();
});

test('a closed storage leaves no timer', async () => {
  const { storage, clock, primary } = await openTestStorage();
  fail(primary);
  await clock.settle(storage.upload('k', 'x'));
  await clock.settle(storage.close({ deadlineMs: 100 }));
  await clock.advance(60_000);
  expect(clock.pendingTimers).toBe(0);
});
