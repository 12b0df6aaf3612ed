import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import type { StorageBackend } from '../../src/backend.ts';
import { diskBackend } from '../../src/backends/disk/backend.ts';
import { createStorage } from '../../src/create-storage.ts';
import { bytesSource, collect } from '../../src/object/body.ts';
import { putOptions } from './put-options.ts';

type Crash = Parameters<MemoryFileSystem['crash']>[0];
type Step = { readonly key: string; readonly text: string | undefined };

const { signal } = new AbortController();
const crashes: readonly Crash[] = ['kill', 'prefix', 'sectors'];
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
const LIVES = Number(process.env['HOLDFAST_RUNS'] ?? 60);

/** Writes, overwrites with the same and with another length, removals, and the key once more. */
const steps: readonly Step[] = [
  { key: 'a', text: 'first' },
  { key: 'a', text: 'other' },
  { key: 'dir/b', text: 'b'.repeat(700) },
  { key: 'a', text: `${'long '.repeat(250)}.` },
  { key: 'a', text: undefined },
  { key: 'dir/b', text: '' },
  { key: 'a', text: 'again' },
];

const backendOn = (files: MemoryFileSystem): StorageBackend =>
  diskBackend({ directory: '/objects', files, clock: createFakeClock() });

async function apply(backend: StorageBackend, { key, text }: Step): Promise<boolean> {
  if (text === undefined) return (await backend.remove(key, { signal })).kind === 'ok';
  const bytes = Buffer.from(text);
  return (await backend.put(key, bytesSource(bytes), putOptions(bytes))).kind === 'ok';
}

/** The text of a key; fails for bytes that are not those of the write that they name. */
async function textAt(backend: StorageBackend, key: string): Promise<string | undefined> {
  const got = await backend.get(key, { signal });
  if (got.kind === 'notFound') return undefined;
  if (got.kind !== 'ok') throw new Error(`${key}: ${got.kind} ${got.message}`);
  const bytes = await collect(got.value.body);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  expect(got.value.head).toMatchObject({ size: bytes.byteLength, stamp: { sha256 } });
  return Buffer.from(bytes).toString();
}

/**
 * Runs the steps until the machine dies, and judges what the next process finds: what was acknowledged, or the step
 * that was under way, complete.
 * @returns whether it died
 */
async function dies(
  how: Crash,
  seed: number,
  arm: (files: MemoryFileSystem, die: () => void) => void,
): Promise<boolean> {
  const random = seededRandom(seed);
  const files = createMemoryFileSystem();
  let survivors: MemoryFileSystem | undefined;
  arm(files, () => {
    survivors ??= files.crash(how, random);
  });
  const state = new Map<string, string | undefined>();
  const backend = backendOn(files);
  let interrupted: Step | undefined;
  for (const step of steps) {
    if (await apply(backend, step)) state.set(step.key, step.text);
    else interrupted ??= step;
    if (interrupted !== undefined) break;
  }
  if (interrupted === undefined) return false;
  survivors ??= files.crash(how, random);
  const next = backendOn(survivors);
  for (const key of ['a', 'dir/b']) {
    const allowed = [state.get(key)];
    if (interrupted.key === key) allowed.push(interrupted.text);
    expect(allowed).toContain(await textAt(next, key));
  }
  // It takes the interrupted step once more, and everything after it.
  expect(await apply(next, interrupted)).toBe(true);
  expect(await textAt(next, interrupted.key)).toBe(interrupted.text);
  const listed = await next.list('', { signal, limit: 100 });
  if (listed.kind !== 'ok') throw new Error(listed.message);
  for (const { key } of listed.value.objects) await textAt(next, key);
  return true;
}

test.each(crashes)(
  'whichever call of the disk is the last before a crash (%s), nothing acknowledged is lost and nothing torn is served',
  async (how) => {
    let calls = 0;
    for (let isDead = true; isDead; calls += 1) {
      const lastCall = calls;
      isDead = await dies(how, FIRST_SEED + calls, (files, die) => {
        let made = 0;
        files.intercept = () => {
          if (made === lastCall) {
            die();
            throw Object.assign(new Error('the power is lost'), { code: 'EIO' });
          }
          made += 1;
        };
      });
    }
    // Opening, writing, syncing, renaming and syncing the folder, of body and sidecar.
    expect(calls).toBeGreaterThan(steps.length * 8);
  },
);

test.each(crashes)(
  'whichever byte is the last before a crash (%s), nothing acknowledged is lost and nothing torn is served',
  async (how) => {
    let bytes = 1;
    while (
      await dies(how, FIRST_SEED + bytes, (files) => {
        files.dieAfterBytes = bytes;
      })
    ) {
      bytes += 13;
    }
    expect(bytes).toBeGreaterThan(2_000);
  },
);

test('a storage whose disk and journal lose their power at once loses nothing that it acknowledged', async () => {
  const lost: unknown[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + LIVES; seed += 1) {
    const random = seededRandom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const how = crashes[below(crashes.length)] ?? 'kill';
    const clock = createFakeClock();
    const disks = { objects: createMemoryFileSystem(), journal: createMemoryFileSystem() };
    const open = (on: typeof disks) =>
      createStorage({
        backends: [diskBackend({ directory: '/objects', files: on.objects, clock })],
        journal: { directory: '/journal', segmentBytes: 8_192, minFreeBytes: 0 },
        inlineBytes: 100,
        lateWriteMs: 1_000,
        clock,
        random,
        files: on.journal,
      });
    const first = open(disks);
    await first.ready();
    let calls = below(120);
    let survivors: typeof disks | undefined;
    const intercept = (): void => {
      if ((calls -= 1) > 0) return;
      survivors ??= {
        objects: disks.objects.crash(how, random),
        journal: disks.journal.crash(how, random),
      };
      throw Object.assign(new Error('the power is lost'), { code: 'EIO' });
    };
    disks.objects.intercept = disks.journal.intercept = intercept;
    const acknowledged = new Map<string, string | undefined>();
    const issued = new Map<string, (string | undefined)[]>();
    for (let write = 0; write < 12; write += 1) {
      if (calls <= 0) break;
      const key = ['a', 'b'][below(2)] ?? 'a';
      const text = below(5) === 0 ? undefined : `${write} ${'x'.repeat(below(2) * 200)}`;
      const since = issued.get(key) ?? [];
      issued.set(key, [...since, text]);
      const work = text === undefined ? first.remove(key) : first.upload(key, text);
      await clock.settle(
        work.then(
          () => {
            if (survivors !== undefined) return;
            acknowledged.set(key, text);
            issued.set(key, []);
          },
          () => undefined,
        ),
      );
    }
    survivors ??= {
      objects: disks.objects.crash(how, random),
      journal: disks.journal.crash(how, random),
    };
    void first.close({ deadlineMs: 0 }).catch(() => undefined);
    const second = open(survivors);
    await clock.settle(second.flush({ deadlineMs: 600_000 }));
    const found = backendOn(survivors.objects);
    for (const key of ['a', 'b']) {
      const allowed = [acknowledged.get(key), ...(issued.get(key) ?? [])];
      const text = await textAt(found, key);
      if (!allowed.includes(text)) lost.push({ seed, key, text, allowed });
    }
    await clock.settle(second.close());
  }
  expect(lost).toEqual([]);
});
