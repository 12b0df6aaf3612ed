import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { checkHostFault, openSandbox } from '@holdfast/faults';
import type { BackupDiskOptions, BackupDiskReport } from '../../src/limits/backup-main.ts';
import { childEnd, commandOf, reportOf, startChild } from '../../src/limits/child.ts';
import { scenario } from '../../src/limits/scenario.ts';

const MIB = 1_048_576;
const plan = await checkHostFault('fullDisk');
const obstacle = plan.available ? undefined : plan.reason;

const refusal = (cause: string, bundles: number): object => ({
  code: 'CATALOG_BACKUP_WRITE_FAILED',
  reason: 'disk-full',
  cause,
  generation: 1,
  bundles,
  names: ['catalog-1-1.backup'],
});

scenario(
  {
    promise:
      'a backup that finds the disk full is deleted, the one before it is served whole, and the next one succeeds',
    fault: 'a disk of 8 MiB, filled by others to its last byte, and to what half a backup needs',
    obstacle,
  },
  async () => {
    const sandbox = await openSandbox({ diskMaxBytes: 8 * MIB });
    try {
      const refused = [0, 8_192, 400_000].map((freeBytes) => ({ rows: 2_000, freeBytes }));
      const options: BackupDiskOptions = { directory: sandbox.directory, rows: 2_000, refused };
      const [program = '', ...rest] = commandOf({ main: 'backup-main.ts', options });
      const child = sandbox.spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
      expect(reportOf(await childEnd<BackupDiskReport>(child))).toEqual({
        refusals: refused.map(() => refusal('ENOSPC', 2_000)),
        generation: 2,
        bundles: 2_000,
      });
      return { accepted: 4_000, delivered: 4_000, lost: 0 };
    } finally {
      await sandbox.close();
    }
  },
);

scenario(
  {
    promise:
      'a backup that is larger than a file may be leaves the one before it, and nothing else',
    fault: 'ulimit -f: files of 256 KiB at most (EFBIG), and a backup of 1 MiB',
  },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-backup-'));
    try {
      const options: BackupDiskOptions = { directory, rows: 100, refused: [{ rows: 2_000 }] };
      // In blocks of 512 bytes.
      const child = startChild({ main: 'backup-main.ts', options, first: 'ulimit -f 512' });
      expect(reportOf(await childEnd<BackupDiskReport>(child))).toEqual({
        refusals: [refusal('EFBIG', 100)],
        generation: 2,
        bundles: 100,
      });
      return { accepted: 200, delivered: 200, lost: 0 };
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);
