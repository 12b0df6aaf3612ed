import { expect, test } from '@jest/globals';
import { type Random, seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  record,
} from 'fast-check';
import { type Journal, openJournal } from '../src/index.ts';
import { type MemoryFileSystem, createMemoryFileSystem } from '../src/files/memory-file-system.ts';

const SEGMENT_BYTES = 4_096;

/** What the outside knows of a journal: payloads by sequence, and how far it was told to forget. */
interface Model {
  readonly acknowledged: Map<number, string>;
  readonly submitted: Set<string>;
  released: number;
  /** The last release mark that became durable. */
  kept: number;
  /** Without a sync of every batch: sequences that the loss of power has taken; the files keep their gaps. */
  readonly lost: Set<number>;
}

interface Story {
  readonly seed: number;
  readonly rounds: readonly { steps: number; crash: 'kill' | 'prefix' | 'sectors' | 'close' }[];
  readonly flips: number;
}

const story = (maxFlips: number): Arbitrary<Story> =>
  record({
    seed: integer(),
    rounds: array(
      record({
        steps: integer({ min: 1, max: 25 }),
        crash: constantFrom(
          'kill' as const,
          'prefix' as const,
          'sectors' as const,
          'close' as const,
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    flips: integer({ min: maxFlips === 0 ? 0 : 1, max: maxFlips }),
  });

type Durability = 'commit' | 'os';

function open(
  files: MemoryFileSystem,
  clock: FakeClock,
  durability: Durability = 'commit',
): Promise<Journal> {
  return openJournal({
    durability,
    directory: '/journal',
    files,
    clock,
    segmentBytes: SEGMENT_BYTES,
    checkpointMs: 10,
  });
}

async function live(
  journal: Journal,
  model: Model,
  tools: { random: Random; clock: FakeClock; steps: number },
): Promise<void> {
  const { random, clock, steps } = tools;
  const appends: Promise<unknown>[] = [];
  const submit = (): Buffer => {
    const text = `${model.submitted.size}:${'x'.repeat(Math.floor(random() ** 4 * 3_000))}`;
    model.submitted.add(text);
    return Buffer.from(text);
  };
  journal.on('checkpointed', ({ released }) => void (model.kept = Math.max(model.kept, released)));
  for (let step = 0; step < steps; step += 1) {
    const dice = random();
    if (dice < 0.75) {
      const payloads = Array.from({ length: dice < 0.15 ? 3 : 1 }, submit);
      const kept = (first: number): void => {
        for (const [place, payload] of payloads.entries()) {
          model.acknowledged.set(first + place, payload.toString());
        }
      };
      appends.push(journal.appendAll(payloads).then(kept, () => undefined));
      if (random() < 0.5) await appends.at(-1);
    } else if (dice < 0.9 && journal.next > journal.first) {
      const through = journal.first + Math.floor(random() * (journal.next - journal.first));
      await journal.release(through).then(
        () => void (model.released = Math.max(model.released, through)),
        () => undefined,
      );
    } else {
      await clock.advance(10);
    }
  }
  if (random() < 0.7) await Promise.all(appends);
}

async function readAll(journal: Journal): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  let from = 1;
  while (true) {
    const records = await journal.read(from, { maxRecords: 7 });
    if (records.length === 0) return found;
    for (const { sequence, payload } of records) {
      expect(sequence).toBeGreaterThanOrEqual(from);
      found.set(sequence, Buffer.from(payload).toString());
      from = sequence + 1;
    }
  }
}

/** @param unsyncedFrom without a sync of every batch, the first sequence that the loss of power may take. */
function check(
  journal: Journal,
  found: Map<number, string>,
  model: Model,
  { flipped = false, unsyncedFrom = Infinity }: { flipped?: boolean; unsyncedFrom?: number } = {},
): void {
  const { quarantined, truncatedFrom, checkpointLost } = journal.recovery;
  const falseAlarms = quarantined.filter(
    (error) =>
      !flipped &&
      error.acknowledged &&
      error.firstSequence < unsyncedFrom &&
      !model.lost.has(error.firstSequence),
  );
  expect(falseAlarms).toEqual([]);
  expect(checkpointLost).toBe(false);
  // Released records that the loss of power took leave their sequences to new ones.
  expect(journal.first > Math.min(model.kept, journal.next - 1) || flipped).toBe(true);
  model.kept = Math.min(model.kept, journal.next - 1);
  model.released = Math.min(model.released, journal.next - 1);
  const reported = (sequence: number): boolean =>
    sequence >= (truncatedFrom ?? Infinity) ||
    quarantined.some((error) => sequence >= error.firstSequence && sequence <= error.lastSequence);
  for (const [sequence, text] of model.acknowledged) {
    if (sequence <= model.released) continue;
    if (found.get(sequence) === text || sequence >= unsyncedFrom) continue;
    expect({ sequence, found: found.get(sequence), lost: flipped && reported(sequence) }).toEqual({
      sequence,
      found: undefined,
      lost: true,
    });
  }
  const texts = [...found.values()];
  expect(new Set(texts).size).toBe(texts.length);
  for (const text of texts) expect(model.submitted).toContain(text);
}

function flipBits(files: MemoryFileSystem, flips: number, random: Random): void {
  const names = files.names().filter((name) => name.endsWith('.journal'));
  for (let flip = 0; flip < flips; flip += 1) {
    const content = files.content(names[Math.floor(random() * names.length)] ?? '');
    const at = Math.floor(random() * content.length);
    content[at] = (content[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  }
}

/** The first sequence of the newest segment: with `'os'`, all before it were synced when it was begun. */
function newestFirst(files: MemoryFileSystem): number {
  const newest = files.names().findLast((name) => name.endsWith('.journal'));
  return newest === undefined ? 1 : Number.parseInt(newest, 10);
}

async function tell({ seed, rounds, flips }: Story, durability: Durability): Promise<void> {
  const random = seededRandom(seed);
  const clock = createFakeClock();
  let files = createMemoryFileSystem();
  let unsyncedFrom = Infinity;
  const model: Model = {
    acknowledged: new Map(),
    submitted: new Set(),
    released: 0,
    kept: 0,
    lost: new Set(),
  };
  for (const { steps, crash } of rounds) {
    const journal = await open(files, clock, durability);
    const found = await readAll(journal);
    check(journal, found, model, { unsyncedFrom });
    for (let sequence = unsyncedFrom; sequence < journal.next; sequence += 1) {
      if (!found.has(sequence)) model.lost.add(sequence);
    }
    for (const sequence of model.acknowledged.keys()) {
      if (sequence >= unsyncedFrom) model.acknowledged.delete(sequence);
    }
    // What was read once stays: it was durable, whether its append was acknowledged or not.
    for (const [sequence, text] of found) model.acknowledged.set(sequence, text);
    if (random() < 0.6 && crash !== 'close') {
      files.dieAfterBytes = Math.floor(random() * steps * 400);
    }
    await live(journal, model, { random, clock, steps });
    if (crash === 'close') {
      await journal.close();
      model.kept = journal.first - 1;
    }
    const losesPower = durability === 'os' && (crash === 'prefix' || crash === 'sectors');
    unsyncedFrom = losesPower ? newestFirst(files) : Infinity;
    const survivors = files.crash(crash === 'close' ? 'sectors' : crash, random);
    await Promise.allSettled([journal.close()]);
    files = survivors;
  }
  if (flips > 0 && files.names().some((name) => name.endsWith('.journal'))) {
    flipBits(files, flips, random);
  }
  const journal = await open(files, clock, durability);
  check(journal, await readAll(journal), model, { flipped: flips > 0, unsyncedFrom });
  const next = await journal.append(Buffer.from('after'));
  const kept = [...model.acknowledged.keys()].filter((sequence) => sequence < unsyncedFrom);
  const reused = next <= Math.max(0, ...kept);
  expect(reused && flips === 0).toBe(false);
  await journal.close();
  expect(clock.pendingTimers).toBe(0);
}

test('after any crash at any byte every acknowledged record is read back once and in order', async () => {
  await assert(
    asyncProperty(story(0), (chosen) => tell(chosen, 'commit')),
    {
      seed: 20_260,
      numRuns: 200,
    },
  );
}, 60_000);

test('after bit flips too, every missing record lies in a reported range', async () => {
  await assert(
    asyncProperty(story(4), (chosen) => tell(chosen, 'commit')),
    {
      seed: 20_261,
      numRuns: 200,
    },
  );
}, 60_000);

test('with durability os the loss of power takes records of the newest segment alone', async () => {
  await assert(
    asyncProperty(story(0), (chosen) => tell(chosen, 'os')),
    {
      seed: 20_262,
      numRuns: 200,
    },
  );
}, 60_000);
