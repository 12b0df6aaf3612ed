import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, JournalFullError, type JournalRecord } from '@holdfast/journal';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { BodyFiles } from '../../src/journal/blobs.ts';
import { OperationLog } from '../../src/journal/operation-log.ts';
import type { Operation } from '../../src/journal/operation.ts';
import { type LogRecord, decodeRecord, encodeRecord } from '../../src/journal/record.ts';
import { recover } from '../../src/journal/recover.ts';
import { collect } from '../../src/object/body.ts';
import { bytesOf, operation } from './operations.ts';

/** A journal in memory whose appends can be held up or refused. */
class FakeJournal implements Journal {
  readonly id = 'w';
  readonly epoch = 1;
  readonly recovery = { records: 0, truncatedBytes: 0, checkpointLost: false, quarantined: [] };
  readonly on: Journal['on'] = () => () => undefined;
  readonly records = new Map<number, Uint8Array>();
  first = 1;
  next = 1;
  reads = 0;
  /** Called before each append; may throw or wait. */
  before: () => unknown = () => undefined;

  async append(payload: Uint8Array): Promise<number> {
    await this.before();
    const sequence = this.next;
    this.next += 1;
    this.records.set(sequence, payload);
    return sequence;
  }

  async appendAll(): Promise<number> {
    throw new Error('not called');
  }

  async read(from: number, { maxRecords = 1_000 } = {}): Promise<JournalRecord[]> {
    this.reads += 1;
    return [...this.records]
      .filter(([sequence]) => sequence >= from && sequence >= this.first)
      .slice(0, maxRecords)
      .map(([sequence, payload]) => ({ sequence, payload }));
  }

  async release(through: number): Promise<void> {
    this.first = Math.max(this.first, through + 1);
  }

  getStats(): never {
    throw new Error('not called');
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

function open(maxMemoryBytes = 1_000) {
  const clock = createFakeClock();
  const journal = new FakeJournal();
  const space = { clock, ioTimeoutMs: 1_000, measuresSpace: false };
  const blobs = new BodyFiles(createMemoryFileSystem(), '/bodies', space);
  const log = new OperationLog(journal, blobs, { clock, maxMemoryBytes });
  const put = async (generation: number, more?: Partial<Operation>): Promise<Operation> => {
    const made = operation(generation, more);
    await log.append(made, made.kind === 'put' ? bytesOf(made) : undefined);
    return made;
  };
  const text = async (made: Operation): Promise<string> =>
    Buffer.from(await collect((await log.body(made)).open())).toString();
  return { clock, journal, log, put, text };
}

test('bodies are kept in memory while there is room, and read from the journal otherwise', async () => {
  const { journal, log, put, text } = open(12);
  const [one, two, three] = [await put(1), await put(2), await put(3)];
  expect([await text(one), await text(two), await text(three)]).toEqual([
    'body 1',
    'body 2',
    'body 3',
  ]);
  // Two fit exactly.
  expect(journal.reads).toBe(1);
  log.drop(one);
  const four = await put(4);
  expect(await text(four)).toBe('body 4');
  expect(journal.reads).toBe(1);
  expect(() => log.body(one)).toThrow('no longer held');
});

test('a body whose record is damaged is an error, and not another body', async () => {
  const { journal, log, put } = open(0);
  const [one, two] = [await put(1), await put(2)];
  journal.records.delete(1);
  await expect(log.body(one)).rejects.toThrow('damaged');
  journal.records.set(
    2,
    encodeRecord({ kind: 'operation', operation: one, bytes: bytesOf(one), settled: [] }),
  );
  await expect(log.body(two)).rejects.toThrow('damaged');
  journal.records.set(2, encodeRecord({ kind: 'settled', settlements: [] }));
  await expect(log.body(two)).rejects.toThrow('damaged');
});

test('the journal releases what no operation needs, in order, and keeps the latest one', async () => {
  const { clock, journal, log, put } = open();
  const made = [await put(1), await put(2), await put(3)];
  const [one, two, three] = made;
  if (!one || !two || !three) throw new Error('none');
  log.drop(two);
  await clock.advance(0);
  expect(journal.first).toBe(1);
  log.drop(one);
  await clock.advance(0);
  expect(journal.first).toBe(3);
  log.drop(three);
  log.drop(three);
  await clock.advance(0);
  // It shows which generations a copy of this journal knows.
  expect(journal.first).toBe(3);
  const four = await put(4);
  log.drop(four);
  await clock.advance(0);
  expect(journal.first).toBe(4);
});

test('what is being appended is not released before it is noted', async () => {
  const { clock, journal, log, put } = open();
  const one = await put(1);
  let proceed: () => void = () => undefined;
  journal.before = () => new Promise<void>((resolve) => (proceed = resolve));
  const second = put(2);
  const held = proceed;
  // Another one is appended before it.
  journal.before = () => undefined;
  const third = await put(3);
  log.drop(one);
  log.drop(third);
  await clock.advance(0);
  expect(journal.first).toBe(2);
  held();
  log.drop(await second);
  await clock.advance(0);
  expect(journal.first).toBe(3);
});

test('operations of an earlier process hold their records, also out of order', async () => {
  const { clock, journal, log } = open();
  for (let record = 0; record < 9; record += 1) await journal.append(Buffer.from('x'));
  const made = [operation(5), operation(3), operation(7)];
  for (const one of made) log.adopt(one, one.generation, new Set());
  log.keep(8);
  const [five, three, seven] = made;
  if (!five || !three || !seven) throw new Error('none');
  log.drop(seven);
  await clock.advance(0);
  expect(journal.first).toBe(3);
  log.drop(three);
  await clock.advance(0);
  expect(journal.first).toBe(5);
  log.drop(five);
  await clock.advance(0);
  expect(journal.first).toBe(8);
});

/** The settlements in the journal, one list for each record. */
const settledIn = (journal: FakeJournal): string[][] =>
  [...journal.records.values()].flatMap((payload) => {
    const record = decodeRecord(payload);
    return record.kind === 'settled'
      ? [record.settlements.map(({ key, backend }) => `${key} ${backend}`)]
      : [];
  });

test('settlements share a record: within their time, when they are many, or when they are awaited', async () => {
  const { clock, journal, log } = open();
  let kept = 0;
  const settle = (generation: number, isAwaited = false): void =>
    log.settle(operation(generation), 'one', isAwaited, () => (kept += 1));
  settle(1);
  settle(2);
  await clock.advance(19);
  expect([settledIn(journal), kept]).toEqual([[], 0]);
  await clock.advance(1);
  expect([settledIn(journal), kept]).toEqual([[['k1 one', 'k2 one']], 2]);
  for (let generation = 3; generation < 3 + 63; generation += 1) settle(generation);
  await clock.advance(0);
  expect(kept).toBe(2);
  settle(66);
  await clock.advance(0);
  expect([settledIn(journal).length, kept]).toEqual([2, 66]);
  settle(67);
  settle(68, true);
  await clock.advance(0);
  expect([settledIn(journal).length, kept]).toEqual([3, 68]);
  settle(69);
  log.settleNow();
  await clock.advance(0);
  expect([settledIn(journal).length, kept]).toEqual([4, 69]);
  log.settleNow();
  await clock.advance(100);
  expect([settledIn(journal).length, clock.pendingTimers]).toEqual([4, 0]);
});

test('settlements that could not be written are written with the next ones, in their order', async () => {
  const { clock, journal, log } = open();
  const kept: number[] = [];
  const settle = (generation: number): void =>
    log.settle(operation(generation), 'one', true, () => kept.push(generation));
  journal.before = () => Promise.reject(new Error('the disk is away'));
  settle(1);
  await clock.advance(100);
  expect(kept).toEqual([]);
  journal.before = () => undefined;
  settle(2);
  await clock.advance(0);
  expect([kept, settledIn(journal)]).toEqual([[1, 2], [['k1 one', 'k2 one']]]);
});

test('a settlement that comes while others are written waits its own time for more', async () => {
  const { clock, journal, log } = open();
  const settle = (generation: number, isAwaited: boolean): void =>
    log.settle(operation(generation), 'one', isAwaited, () => undefined);
  let proceed: () => void = () => undefined;
  journal.before = () => new Promise<void>((resolve) => (proceed = resolve));
  settle(1, true);
  await clock.advance(1);
  settle(2, false);
  journal.before = () => undefined;
  proceed();
  await clock.advance(1);
  expect(settledIn(journal)).toEqual([['k1 one']]);
  settle(3, false);
  await clock.advance(20);
  expect(settledIn(journal)).toEqual([['k1 one'], ['k2 one', 'k3 one']]);
});

test('closing writes the settlements that wait', async () => {
  const { clock, journal, log } = open();
  log.settle(operation(1), 'one', false, () => undefined);
  await clock.settle(log.close());
  expect(settledIn(journal)).toEqual([['k1 one']]);
});

test.each([
  ['bytes', 'maxBytes'],
  ['disk', 'disk'],
] as const)(
  'a journal without room for %s refuses a write by a typed error',
  async (limit, expected) => {
    const { journal, put } = open();
    journal.before = () => {
      throw new JournalFullError(limit, 'full', { current: 1 });
    };
    await expect(put(1)).rejects.toMatchObject({ code: 'STORAGE_FULL', limit: expected });
    const other = new Error('EIO');
    journal.before = () => {
      throw other;
    };
    await expect(put(1)).rejects.toBe(other);
  },
);

test('an operation that waits long is rewritten once many records follow, with all that is known of it', async () => {
  const { clock, journal, log, put, text } = open(6);
  const waiting = await put(1, { key: 'waits' });
  const removal = await put(2, { kind: 'remove', size: 0, sha256: '' });
  log.settle(waiting, 'one', true, () => undefined);
  await clock.advance(0);
  const pass = async (count: number, from: number): Promise<void> => {
    for (let generation = from; generation < from + count; generation += 1) {
      log.drop(await put(generation));
    }
    await clock.advance(0);
  };
  await pass(1_900, 10);
  expect(journal.first).toBe(1);
  await pass(300, 2_000);
  expect(journal.first).toBeGreaterThan(1_000);
  const rewritten = [...journal.records]
    .filter(([sequence]) => sequence >= journal.first)
    .map(([, payload]) => decodeRecord(payload))
    .filter((record) => record.kind === 'operation');
  const found = rewritten.filter(({ operation: { id } }) => id === waiting.id);
  expect(found).toEqual([
    { kind: 'operation', operation: waiting, bytes: bytesOf(waiting), settled: ['one'] },
  ]);
  expect(rewritten.some(({ operation: { id } }) => id === removal.id)).toBe(true);
  expect(await text(waiting)).toBe('body 1');
  const last = await put(9_000);
  log.drop(waiting);
  log.drop(removal);
  await clock.advance(0);
  expect(journal.first).toBe(journal.next - 1);
  log.drop(last);
  await clock.settle(log.close());
});

/** How often the operations were written that wait, while so many others come and go. */
async function rewrites(before: number, waiting: number, after: number): Promise<number> {
  const { clock, journal, log, put } = open();
  for (let generation = 1; generation <= before; generation += 1) log.drop(await put(generation));
  await clock.advance(0);
  const held = new Set<string>();
  for (let one = 0; one < waiting; one += 1) held.add((await put(20_000 + one)).id);
  for (let one = 0; one < after; one += 1) log.drop(await put(30_000 + one));
  await clock.advance(0);
  const records = [...journal.records.values()].map((payload) => decodeRecord(payload));
  await clock.settle(log.close());
  return records.filter((record) => record.kind === 'operation' && held.has(record.operation.id))
    .length;
}

test('what came before an operation, and few records for many of them, is no reason to rewrite any', async () => {
  expect(await rewrites(3_000, 1, 500)).toBe(1);
  expect(await rewrites(0, 500, 3_000)).toBe(500);
  expect(await rewrites(0, 500, 4_000)).toBeGreaterThan(500);
});

test('the journal is read to its end: the open writes of each key, in the order of their generations', async () => {
  const journal = new FakeJournal();
  const write = (record: LogRecord): Promise<number> => journal.append(encodeRecord(record));
  const add = (made: Operation, settled: string[] = []): Promise<number> =>
    write({ kind: 'operation', operation: made, bytes: undefined, settled });
  const settled = (key: string, generation: number, ...backends: string[]): Promise<number> =>
    write({
      kind: 'settled',
      settlements: backends.map((backend) => ({ backend, key, generation })),
    });
  // More records than are read at once.
  for (let generation = 1; generation <= 1_100; generation += 1) {
    await add(operation(generation, { key: 'done' }));
  }
  await settled('done', 1_100, 'one', 'two');
  await add(operation(1_203, { key: 'a' }));
  await add(operation(1_201, { key: 'a' }));
  await add(operation(1_199, { key: 'a' }), ['one']);
  await add(operation(1_202, { key: 'b' }));
  await settled('a', 1_203, 'two');
  await settled('a', 1_000, 'two');
  const progress = { backend: 'one', key: 'a', generation: 1_203, state: { at: 1 } };
  await write({ kind: 'progress', progress });
  const found = await recover(journal, ['one', 'two']);
  expect(found).toMatchObject({ generation: 1_203, lastSequence: 1_102 });
  expect(found.unfinished.map(({ newest }) => newest.generation)).toEqual([1_203, 1_202]);
  const [a, b] = found.unfinished;
  expect(a?.superseded.map(({ generation }) => generation)).toEqual([1_201]);
  expect([...(a?.settled ?? [])]).toEqual([
    ['one', 1_199],
    ['two', 1_203],
  ]);
  expect([...(a?.progress ?? [])]).toEqual([['one', { generation: 1_203, state: { at: 1 } }]]);
  expect([b?.superseded, b?.settled.size, b?.progress.size]).toEqual([[], 0, 0]);
  expect(found.held.map(({ sequence }) => sequence)).toEqual([1_102, 1_103, 1_105]);
  expect([...(found.held[0]?.settled ?? [])]).toEqual(['two']);
});

test('of an empty journal nothing is known', async () => {
  const found = await recover(new FakeJournal(), ['one']);
  expect(found).toEqual({
    unfinished: [],
    held: [],
    generation: undefined,
    lastSequence: undefined,
  });
});
