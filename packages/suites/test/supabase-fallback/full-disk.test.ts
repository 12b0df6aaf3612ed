import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { openSandbox, checkHostFault } from '@holdfast/faults';
import { record } from '@holdfast/report';
import type { FullDiskReport } from '../../src/storage/full-disk-main.ts';

const ROW = {
  scenario: 'a full disk rejects writes with a typed error, and every accepted write is delivered',
  family: 'supabase-fallback',
  fault: 'Supabase and S3 down, the journal on a disk of 8 MiB',
  stage: 'local',
} as const;
const MAIN = join(import.meta.dirname, '../../src/storage/full-disk-main.ts');

const plan = await checkHostFault('fullDisk');
const obstacle = plan.available ? undefined : plan.reason;

if (obstacle === undefined) {
  test(ROW.scenario, async () => {
    const sandbox = await openSandbox({ diskMaxBytes: 8 * 1_048_576 });
    try {
      const child = sandbox.spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', MAIN, join(sandbox.directory, 'journal')],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      if (child.stdout === null) throw new TypeError('the child has no stdout pipe');
      const report: FullDiskReport & { refusedAfter: number } = JSON.parse(
        await text(child.stdout),
      );
      const { verdict, refusals, refused, refusedAfter, left } = report;
      record({
        ...ROW,
        accepted: verdict.accepted,
        delivered: verdict.delivered,
        lost: verdict.lost.length,
        duplicated: verdict.duplicated.length,
        outOfOrder: verdict.outOfOrder.length,
        note: `${refused} writes were refused.`,
      });
      expect({ refusals, refusedAfter, left }).toEqual({
        refusals: ['STORAGE_FULL'],
        refusedAfter: 0,
        left: 0,
      });
      expect(verdict).toMatchObject({ lost: [], duplicated: [], outOfOrder: [] });
      expect(verdict.accepted).toBeGreaterThan(20);
    } finally {
      await sandbox.close();
    }
  });
} else {
  // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
  test.skip(`${ROW.scenario} (${obstacle})`, () => undefined);
}
