import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createBackup } from '../../src/index.ts';
import { bundlesOf, readNewest } from '../bundles.ts';

const SCRIPT = join(import.meta.dirname, 'writer-process.ts');
let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'catalog-backup-'));
});

afterAll(() => rm(directory, { recursive: true }));

function start(flags: readonly string[], args: readonly string[]): ChildProcess {
  return spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...flags, SCRIPT, ...args],
    {
      // Jest takes a child that reports the end of its heap for a worker.
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
}

/** The lines of a child to its end; `onLine` may end it. */
async function linesOf(child: ChildProcess, onLine: (count: number) => void): Promise<string[]> {
  const lines: string[] = [];
  if (child.stdout === null) return lines;
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    onLine(lines.length);
  }
  return lines;
}

test('a writer that is killed at any moment leaves one whole backup, and the next one writes at once', async () => {
  const random = seededRandom(11);
  const folder = join(directory, 'killed');
  let newest = 0;
  for (let round = 0; round < 6; round += 1) {
    const child = start([], [folder, 'write', String(newest + 1)]);
    // Eleven lines a generation: at least one is kept.
    const last = 12 + Math.floor(random() * 22);
    const lines = await linesOf(child, (count) => {
      if (count === last) child.kill('SIGKILL');
    });
    const kept = lines
      .filter((line) => line.startsWith('kept '))
      .map((line) => Number(line.slice(5)));
    expect(kept.length).toBeGreaterThan(0);
    const { generation, bundles } = await readNewest(createBackup({ directory: folder }));
    expect(generation).toBeGreaterThanOrEqual(kept.at(-1) ?? 0);
    expect(bundles).toEqual(bundlesOf(1_000, generation));
    newest = generation;
  }
  const names = await readdir(folder);
  expect(names.filter((name) => name.endsWith('.backup'))).toHaveLength(2);
  expect(names.filter((name) => name.endsWith('.tmp')).length).toBeLessThanOrEqual(1);
});

test('a backup larger than the heap is written, read and salvaged', async () => {
  const rows = 60_000;
  // Their JSON is 14 MB, their objects 50 MB.
  const child = start(
    ['--max-old-space-size=36'],
    [join(directory, 'large'), 'large', String(rows)],
  );
  const lines = await linesOf(child, () => {});
  expect(JSON.parse(lines.at(-1) ?? '{}')).toMatchObject({ read: rows, salvaged: rows });
});
