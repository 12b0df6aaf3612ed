import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { propertyOf, string } from '@holdfast/foundation';
import { openRecordFile } from '../../src/object-files/records.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-records-'));
const mounting = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
const obstacle = mounting.status === 0 ? undefined : 'this user may not mount';
afterAll(() => {
  spawnSync('umount', ['-l', directory]);
  rmSync(directory, { recursive: true, force: true });
});

const shape = { value: string({ maxLength: 200 }) };

test('records that a full disk refuses are not kept, and those before and after it are', () => {
  // Without a disk of its own nothing is refused, and all are kept.
  const ballast = join(directory, 'ballast');
  writeFileSync(ballast, Buffer.alloc(obstacle === undefined ? 60_000 : 0));
  const file = openRecordFile(directory);
  const table = file.table('objects', shape);
  const kept: string[] = [];
  const refusals = new Set<unknown>();
  const keep = (count: number, name: string): void => {
    for (let at = 0; at < count; at += 1) {
      const key = `${name}-${String(at).padStart(4, '0')}`;
      try {
        table.set(key, { value: 'x'.repeat(100) });
        kept.push(key);
      } catch (error) {
        refusals.add(propertyOf(error, 'code'));
      }
    }
  };
  keep(60, 'full');
  expect([...refusals]).toEqual(obstacle === undefined ? ['ENOSPC'] : []);
  rmSync(ballast);
  keep(5, 'later');
  file.close();
  const reopened = openRecordFile(directory);
  expect(reopened.table('objects', shape).keys()).toEqual(kept);
  reopened.close();
});
