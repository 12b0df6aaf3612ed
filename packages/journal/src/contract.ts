import { expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { Journal } from './journal.ts';

/** A fresh journal for one test; `dispose` removes it. */
interface JournalUnderTest {
  readonly journal: Journal;
  readonly dispose: () => Promise<void>;
}

/** The limits that a test opens its journal with. */
interface ContractLimits {
  maxBytes?: number;
  maxRecords?: number;
  maxRecordBytes?: number;
}

/** Registers one promise as a test. */
type Promised = (
  name: string,
  holds: (journal: Journal) => Promise<void>,
  limits?: ContractLimits,
) => void;

/** The promises of every journal as Jest tests; call it once for each adapter, inside its `describe`. */
export function honoursJournalContract(
  open: (limits: ContractLimits) => Promise<JournalUnderTest>,
): void {
  const promise: Promised = (name, holds, limits = {}) => {
    // oxlint-disable-next-line jest/expect-expect, jest/valid-title -- the caller brings name and assertions
    test(name, async () => {
      const { journal, dispose } = await open(limits);
      try {
        await holds(journal);
      } finally {
        await dispose();
      }
    });
  };
  honoursAppends(promise);
  honoursReads(promise);
  honoursReleases(promise);
  honoursLimits(promise);
  honoursClose(promise);
}

function honoursAppends(promise: Promised): void {
  promise('a new journal is empty and its first record gets sequence 1', async (journal) => {
    expect(journal.id).toMatch(/^[\da-f-]{36}$/);
    expect([journal.first, journal.next]).toEqual([1, 1]);
    expect(await journal.read(1)).toEqual([]);
    expect(await journal.append(bytes('a'))).toBe(1);
    expect([journal.first, journal.next]).toEqual([1, 2]);
  });

  promise(
    'a caller that appends again at once does not keep timers from running',
    async (journal) => {
      const timer = new AbortController();
      systemClock.schedule(1, () => timer.abort());
      for (let record = 0; record < 100_000 && !timer.signal.aborted; record += 1) {
        await journal.append(bytes('a'));
      }
      expect(timer.signal.aborted).toBe(true);
    },
  );

  promise('records are read in the order of the calls that appended them', async (journal) => {
    const texts = Array.from({ length: 300 }, (_, index) => `record ${index}`);
    const sequences = await Promise.all(texts.map((text) => journal.append(bytes(text))));
    expect(sequences).toEqual(texts.map((_, index) => index + 1));
    const records = await journal.read(1);
    expect(records.map((record) => record.sequence)).toEqual(sequences);
    expect(records.map((record) => textOf(record.payload))).toEqual(texts);
  });

  promise('an empty payload is kept and read like any other', async (journal) => {
    await journal.append(bytes(''));
    await journal.append(bytes('after'));
    expect((await journal.read(1)).map((record) => textOf(record.payload))).toEqual(['', 'after']);
  });

  promise(
    'a payload that is changed after its append resolved is read as it was appended',
    async (journal) => {
      const payload = bytes('before');
      await journal.append(payload);
      payload.fill(0);
      expect(textOf((await journal.read(1))[0]?.payload)).toBe('before');
    },
  );

  promise(
    'appendAll assigns consecutive sequences and resolves with the first',
    async (journal) => {
      await journal.append(bytes('a'));
      const [first, single] = await Promise.all([
        journal.appendAll([bytes('b'), bytes('c'), bytes('d')]),
        journal.append(bytes('e')),
      ]);
      expect([first, single]).toEqual([2, 5]);
      expect((await journal.read(2)).map((record) => textOf(record.payload))).toEqual([
        'b',
        'c',
        'd',
        'e',
      ]);
    },
  );

  promise('appendAll of an empty list appends nothing', async (journal) => {
    expect(await journal.appendAll([])).toBe(1);
    expect(journal.next).toBe(1);
  });
}

function honoursReads(promise: Promised): void {
  promise(
    'a read ends at maxRecords, and the next one continues where its caller says',
    async (journal) => {
      await journal.appendAll(['a', 'b', 'c', 'd', 'e'].map((text) => bytes(text)));
      const first = await journal.read(1, { maxRecords: 2 });
      const rest = await journal.read(3, { maxRecords: 2 });
      expect([...first, ...rest].map((record) => textOf(record.payload))).toEqual([
        'a',
        'b',
        'c',
        'd',
      ]);
      expect((await journal.read(2)).map((record) => record.sequence)).toEqual([2, 3, 4, 5]);
    },
  );

  promise('a read ends at maxBytes, but returns at least one record', async (journal) => {
    await journal.appendAll([bytes('x'.repeat(100)), bytes('y'), bytes('z')]);
    expect(await journal.read(1, { maxBytes: 10 })).toHaveLength(1);
    expect(await journal.read(2, { maxBytes: 2 })).toHaveLength(2);
    expect(await journal.read(1, { maxBytes: 101 })).toHaveLength(2);
  });

  promise(
    'a read past the end returns nothing, and the record once it is appended',
    async (journal) => {
      await journal.append(bytes('a'));
      expect(await journal.read(2)).toEqual([]);
      await journal.append(bytes('b'));
      expect((await journal.read(2)).map((record) => textOf(record.payload))).toEqual(['b']);
    },
  );
}

function honoursReleases(promise: Promised): void {
  promise('released records are not read again', async (journal) => {
    await journal.appendAll(['a', 'b', 'c'].map((text) => bytes(text)));
    await journal.release(2);
    expect([journal.first, journal.next]).toEqual([3, 4]);
    expect((await journal.read(1)).map((record) => textOf(record.payload))).toEqual(['c']);
    expect(journal.getStats()).toMatchObject({ records: 1, released: 2 });
  });

  promise('a lower release mark than before changes nothing', async (journal) => {
    await journal.appendAll(['a', 'b', 'c'].map((text) => bytes(text)));
    await journal.release(3);
    await journal.release(1);
    expect([journal.first, journal.next]).toEqual([4, 4]);
    expect(journal.getStats()).toMatchObject({ records: 0, bytes: 0 });
  });

  promise('releasing a sequence that was never appended is rejected', async (journal) => {
    await journal.append(bytes('a'));
    await expect(journal.release(2)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    expect(journal.first).toBe(1);
  });
}

function honoursLimits(promise: Promised): void {
  promise(
    'a record too large is rejected with its size and the limit, and takes no sequence',
    async (journal) => {
      await expect(journal.append(bytes('x'.repeat(101)))).rejects.toMatchObject({
        code: 'JOURNAL_RECORD_TOO_LARGE',
        bytes: 101,
        maxBytes: 100,
        outcome: 'not-applied',
      });
      expect(await journal.append(bytes('x'.repeat(100)))).toBe(1);
    },
    { maxRecordBytes: 100 },
  );

  promise(
    'a journal full of records rejects more until some are released',
    async (journal) => {
      await journal.appendAll([bytes('a'), bytes('b')]);
      await expect(journal.append(bytes('c'))).rejects.toMatchObject({
        code: 'JOURNAL_FULL',
        limit: 'records',
        current: 2,
        max: 2,
        retryable: true,
        outcome: 'not-applied',
      });
      await journal.release(1);
      expect(await journal.append(bytes('d'))).toBe(3);
      expect((await journal.read(1)).map((record) => textOf(record.payload))).toEqual(['b', 'd']);
    },
    { maxRecords: 2 },
  );

  promise(
    'a journal full of bytes rejects more, emits full once, and accepts again after a release',
    async (journal) => {
      const announced: number[] = [];
      journal.on('full', (event) => void announced.push(event.current));
      const kilobyte = bytes('x'.repeat(1_000));
      await journal.appendAll([kilobyte, kilobyte, kilobyte]);
      for (let attempt = 0; attempt < 3; attempt += 1) {
        await expect(journal.append(kilobyte)).rejects.toMatchObject({
          code: 'JOURNAL_FULL',
          limit: 'bytes',
        });
      }
      expect(announced).toEqual([3_060]);
      await journal.release(3);
      expect(journal.getStats().bytes).toBe(0);
      expect(await journal.append(kilobyte)).toBe(4);
    },
    { maxBytes: 4_000 },
  );

  promise(
    'appendAll keeps all of its records or none',
    async (journal) => {
      await expect(journal.appendAll([bytes('a'), bytes('b'), bytes('c')])).rejects.toMatchObject({
        code: 'JOURNAL_FULL',
      });
      expect(await journal.read(1)).toEqual([]);
      expect(journal.next).toBe(1);
    },
    { maxRecords: 2 },
  );
}

function honoursClose(promise: Promised): void {
  promise('an aborted read rejects with the reason of its signal', async (journal) => {
    await journal.append(bytes('a'));
    const reason = new Error('enough');
    const aborted = AbortSignal.abort(reason);
    await expect(journal.read(1, { signal: aborted })).rejects.toBe(reason);
    const controller = new AbortController();
    const read = journal.read(1, { signal: controller.signal });
    controller.abort(reason);
    const outcome = read.then((records) => records.length).catch((error: unknown) => error);
    expect([1, reason]).toContain(await outcome);
  });

  promise('close waits for accepted appends, and rejects every later call', async (journal) => {
    const accepted = journal.append(bytes('a'));
    await journal.close();
    expect(await accepted).toBe(1);
    await expect(journal.append(bytes('b'))).rejects.toMatchObject({ code: 'JOURNAL_CLOSED' });
    await expect(journal.read(1)).rejects.toMatchObject({ code: 'JOURNAL_CLOSED' });
    await expect(journal.release(1)).rejects.toMatchObject({ code: 'JOURNAL_CLOSED' });
    expect(journal.getStats().state).toBe('closed');
    await journal.close();
    await journal[Symbol.asyncDispose]();
  });
}

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

function textOf(payload: Uint8Array | undefined): string | undefined {
  return payload === undefined ? undefined : Buffer.from(payload).toString();
}
