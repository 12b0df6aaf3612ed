import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { openJournal } from '../src/index.ts';
import { startOwner } from './child.ts';
import { freshDirectory } from './directory.ts';

test('acknowledged records survive SIGKILL, ten times over', async () => {
  const directory = await freshDirectory();
  const random = seededRandom(7);
  const kept = new Set<number>();
  for (let round = 1; round <= 10; round += 1) {
    const child = startOwner(directory, 'append');
    await child.line(/^owner/);
    const received = Math.floor(random() * 400);
    for (let lines = 0; lines < received; lines += 1) await child.line(/^kept/);
    await child.kill();
    for (const line of child.lines) {
      if (line.startsWith('kept ')) kept.add(Number(line.slice('kept '.length)));
    }
  }
  const journal = await openJournal({ directory });
  try {
    expect(journal.epoch).toBe(11);
    expect(journal.recovery).toMatchObject({ quarantined: [], checkpointLost: false });
    const found: number[] = [];
    let records = await journal.read(1);
    while (records.length > 0) {
      found.push(...records.map((record) => record.sequence));
      records = await journal.read((found.at(-1) ?? 0) + 1);
    }
    expect(found).toEqual(Array.from({ length: found.length }, (_, place) => place + 1));
    expect(kept.size).toBeGreaterThan(0);
    expect([...kept].filter((sequence) => sequence > found.length)).toEqual([]);
  } finally {
    await journal.close();
  }
}, 60_000);
