import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { fail } from '../../src/backend.ts';
import { ObjectNotFoundError, StorageUnavailableError } from '../../src/errors.ts';
import { AWAY, LOST, type TestStorage, openTestStorage, writeElsewhere } from '../open-storage.ts';

const local = { directory: '/local' };

/** Another Holdfast writes the key, directly to the primary: its bytes have a checksum, so that they are copied. */
function writeStamped({ primary }: TestStorage, key: string, text: string): void {
  const bytes = Buffer.from(text);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  primary.apply(key, bytes, { stamp: { operationId: 'other-1', generation: 1, sha256 } });
}

/** The bytes that are read while no backend responds. */
async function readInOutage({ storage, primary, mirror }: TestStorage, key = 'k'): Promise<string> {
  const before = [primary.intercept, mirror.intercept] as const;
  primary.intercept = () => ({ before: AWAY });
  mirror.intercept = () => ({ before: AWAY });
  try {
    const download = await storage.download(key);
    expect(download.from).toBe('local');
    return Buffer.from(await download.bytes()).toString();
  } catch (error) {
    if (!(error instanceof StorageUnavailableError || error instanceof ObjectNotFoundError)) {
      throw error;
    }
    return 'unavailable';
  } finally {
    [primary.intercept, mirror.intercept] = before;
  }
}

/** A storage whose primary has the key 'k', with a local copy of it. */
async function openWithCopy(options: Parameters<typeof openTestStorage>[0] = {}) {
  const opened = await openTestStorage({ local, ...options });
  await opened.storage.upload('k', 'old');
  await opened.clock.settle(opened.storage.flush({ deadlineMs: 60_000 }));
  await opened.clock.advance(5_000);
  return opened;
}

/** What happens at the primary without us. */
const changes: readonly (readonly [string, (opened: TestStorage) => void])[] = [
  ['another writer’s object', ({ primary }) => writeElsewhere(primary, 'k', 'a newer one')],
  ['one of the same length', ({ primary }) => writeElsewhere(primary, 'k', 'new')],
  ['one of another Holdfast', (opened) => writeStamped(opened, 'k', 'a newer one')],
  ['that it is gone', ({ primary }) => void primary.objects.delete('k')],
];

/** The calls that show it. */
const calls: readonly (readonly [string, (opened: TestStorage) => Promise<unknown>])[] = [
  ['download', ({ storage }) => storage.download('k')],
  ['info', ({ storage }) => storage.info('k')],
  ['exists', ({ storage }) => storage.exists('k')],
  ['list', ({ storage }) => storage.list('')],
  ['a list of pages', listInPages],
  ['move', ({ storage, clock }) => clock.settle(storage.move('k', 'moved'))],
];

async function listInPages({ storage }: TestStorage): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await storage.list('', { limit: 1, ...(cursor !== undefined && { cursor }) });
    ({ cursor } = page);
  } while (cursor !== undefined);
}

describe.each(changes)('the primary shows %s, then goes down', (_change, change) => {
  test.each(calls)('seen by %s: the older local copy is not read', async (_call, call) => {
    const opened = await openWithCopy();
    await opened.clock.settle(opened.storage.upload('other', 'x'));
    expect(await readInOutage(opened)).toBe('old');
    change(opened);
    await call(opened).catch(() => undefined);
    expect(await readInOutage(opened)).not.toBe('old');
    await opened.storage.close({ deadlineMs: 0 });
  });

  test.each(calls)('seen by %s: nor is it by the next process', async (_call, call) => {
    const opened = await openWithCopy();
    await opened.clock.settle(opened.storage.upload('other', 'x'));
    await opened.clock.settle(opened.storage.flush({ deadlineMs: 60_000 }));
    change(opened);
    await call(opened).catch(() => undefined);
    const next = await opened.restart();
    expect(await readInOutage(next)).not.toBe('old');
    await next.storage.close({ deadlineMs: 0 });
  });

  test('the mirror’s older bytes do not become the local copy', async () => {
    const opened = await openWithCopy();
    change(opened);
    await opened.storage.exists('k');
    opened.primary.intercept = () => ({ before: AWAY });
    expect((await opened.storage.download('k')).from).toBe('mirror');
    expect(await readInOutage(opened)).not.toBe('old');
    await opened.storage.close({ deadlineMs: 0 });
  });
});

test('a copy stays while calls show the same object, and keys beside it change', async () => {
  const opened = await openWithCopy();
  const { storage, clock, primary } = opened;
  await storage.upload('neighbor', 'x');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  await clock.advance(5_000);
  writeElsewhere(primary, 'neighbor', 'a newer one');
  primary.objects.delete('absent');
  await storage.download('k');
  await storage.info('k');
  await storage.exists('absent');
  await storage.list('');
  await storage.list('n');
  await listInPages(opened);
  expect(await readInOutage(opened)).toBe('old');
  expect(await readInOutage(opened, 'neighbor')).toBe('unavailable');
  const next = await opened.restart();
  await next.storage.list('');
  expect(await readInOutage(next)).toBe('old');
  await next.storage.close({ deadlineMs: 0 });
});

test('a listing that began before a write does not remove the copy of that write', async () => {
  const opened = await openWithCopy();
  const { storage, clock, primary } = opened;
  const list = primary.list.bind(primary);
  primary.list = async (prefix, options) => {
    const page = await list(prefix, options);
    await storage.upload('during', 'x');
    await clock.settle(storage.flush({ deadlineMs: 60_000 }));
    return page;
  };
  await storage.list('');
  expect(await readInOutage(opened, 'during')).toBe('x');
  await storage.close({ deadlineMs: 0 });
});

test('a conflict that another writer has won ends the local copy of ours, on the disk too', async () => {
  const opened = await openWithCopy({ conflicts: 'remote-wins', acknowledgeWithinMs: 0 });
  const { storage, clock, primary } = opened;
  primary.intercept = () => ({ before: AWAY });
  await storage.upload('k', 'ours');
  await clock.advance(5_000);
  writeElsewhere(primary, 'k', 'theirs');
  primary.intercept = () => undefined;
  await clock.settle(storage.flush({ deadlineMs: 120_000 }));
  expect(storage.getStats().conflicts).toBeGreaterThan(0);
  expect(await readInOutage(opened)).toBe('unavailable');
  const next = await opened.restart();
  expect(await readInOutage(next)).toBe('unavailable');
  await next.storage.close({ deadlineMs: 0 });
});

test.each([
  ['writes', (opened: TestStorage) => writeElsewhere(opened.primary, 'k', 'theirs')],
  ['removes', (opened: TestStorage) => void opened.primary.objects.delete('k')],
])('the check after a lost answer shows that another writer %s it', async (_name, change) => {
  const opened = await openWithCopy({ acknowledgeWithinMs: 0 });
  const { storage, clock, primary } = opened;
  let lost = 0;
  primary.intercept = ({ kind }) => {
    if (kind !== 'put') return undefined;
    lost += 1;
    return lost === 1 ? { before: LOST } : undefined;
  };
  await storage.upload('k', 'ours');
  // It is sent again, and checked once the first attempt cannot be applied any more.
  await clock.advance(3_000);
  expect(lost).toBe(2);
  change(opened);
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect(await readInOutage(opened)).toBe('unavailable');
  await storage.close({ deadlineMs: 0 });
});

test.each([
  ['older', ['slow', 'fast'] as const],
  ['newer', ['fast', 'slow'] as const],
])(
  'of two reads at once the one with the %s bytes is answered last',
  async (_name, [first, second]) => {
    for (const isGone of [false, true]) {
      const opened = await openWithCopy();
      const { storage, primary } = opened;
      const get = primary.get.bind(primary);
      const held = { slow: Promise.withResolvers<void>(), fast: Promise.withResolvers<void>() };
      const reads: (keyof typeof held)[] = [first, second];
      primary.get = async (key, options) => {
        const read = reads.shift() ?? 'fast';
        const got = await get(key, options);
        await held[read].promise;
        return got;
      };
      const one = storage.download('k').catch(() => undefined);
      await opened.clock.advance(1);
      if (isGone) primary.objects.delete('k');
      else writeElsewhere(primary, 'k', 'a newer one');
      const two = storage.download('k').catch(() => undefined);
      await opened.clock.advance(1);
      held.fast.resolve();
      await (first === 'fast' ? one : two);
      held.slow.resolve();
      await (first === 'fast' ? two : one);
      primary.get = get;
      expect(await readInOutage(opened)).not.toBe('old');
      await storage.close({ deadlineMs: 0 });
    }
  },
);

test('a slow download that began earlier does not bring back a copy that was evicted since', async () => {
  const opened = await openWithCopy({ local: { directory: '/local', maxEntries: 1 } });
  const { storage, clock, primary } = opened;
  const get = primary.get.bind(primary);
  const held = Promise.withResolvers<void>();
  primary.get = async (key, options) => {
    primary.get = get;
    const got = await get(key, options);
    await held.promise;
    return got;
  };
  const slow = storage.download('k');
  await clock.advance(1);
  writeStamped(opened, 'k', 'a newer one');
  await storage.download('k');
  await storage.upload('evicts it', 'x');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  held.resolve();
  expect(Buffer.from(await (await slow).bytes()).toString()).toBe('old');
  expect(await readInOutage(opened)).toBe('unavailable');
  await storage.close({ deadlineMs: 0 });
});

test('a process that dies right after a write was acknowledged leaves no older copy behind', async () => {
  const files = createMemoryFileSystem();
  const opened = await openTestStorage({ local }, { files });
  const { storage, clock } = opened;
  await storage.upload('k', 'old');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  // The copy of the next write never gets as far as the disk.
  files.intercept = ({ kind, name }) => {
    if (kind === 'rename' && name.includes('.copy')) throw new Error('too late');
  };
  await clock.settle(storage.upload('k', 'new'));
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  const next = await opened.restart();
  expect(await readInOutage(next)).toBe('unavailable');
  await next.storage.close({ deadlineMs: 0 });
});

test('bytes that the primary refused, or that were discarded, are not read from this machine', async () => {
  const opened = await openWithCopy();
  const { storage, primary, clock } = opened;
  primary.intercept = ({ kind }) =>
    kind === 'put' ? { before: fail('invalid', 'EntityTooLarge') } : undefined;
  await expect(clock.settle(storage.upload('k', 'refused'))).rejects.toMatchObject({
    code: 'STORAGE_REFUSED',
  });
  expect(await readInOutage(opened)).toBe('unavailable');
  const { operationId } = await storage.upload('k', 'refused later', { acknowledgeWithinMs: 0 });
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect(await storage.discard(operationId)).toBe(true);
  expect(await readInOutage(opened)).toBe('unavailable');
  await storage.close({ deadlineMs: 0 });
});
