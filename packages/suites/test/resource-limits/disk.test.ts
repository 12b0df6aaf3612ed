import { expect } from '@jest/globals';
import { checkHostFault, openSandbox } from '@holdfast/faults';
import { childEnd, commandOf, reportOf } from '../../src/limits/child.ts';
import type { DiskOptions, DiskReport } from '../../src/limits/disk-main.ts';
import { scenario } from '../../src/limits/scenario.ts';

const MIB = 1_048_576;
const plan = await checkHostFault('fullDisk');
const obstacle = plan.available ? undefined : plan.reason;

/** @param mount what is mounted over the disk of the sandbox first. */
async function fill(options: Omit<DiskOptions, 'directory'>, mount?: string): Promise<DiskReport> {
  const sandbox = await openSandbox({ diskMaxBytes: 8 * MIB });
  try {
    const { directory } = sandbox;
    const first = mount === undefined ? undefined : `mount -t tmpfs -o ${mount} tmpfs ${directory}`;
    const spec = { main: 'disk-main.ts', options: { ...options, directory } };
    const [program = '', ...rest] = commandOf({
      ...spec,
      ...(first === undefined ? {} : { first }),
    });
    const child = sandbox.spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    return reportOf(await childEnd<DiskReport>(child));
  } finally {
    await sandbox.close();
  }
}

const whole = { replaced: 'GOOD', broken: [], leftovers: [], resumed: true };

scenario(
  {
    promise:
      'a full disk refuses writes before its end, keeps every file whole and takes writes again',
    fault: 'a disk of 8 MiB, filled with files of 64 KiB',
    obstacle,
  },
  async () => {
    const report = await fill({ fileBytes: 65_536, toTheEnd: false });
    expect(report).toMatchObject({ ...whole, code: 'NETWORK_DISK_EXHAUSTED' });
    expect(report.streamCode).toBe('NETWORK_DISK_EXHAUSTED');
    // At least a tenth was left, less than that and one file more.
    expect(report.freeBytes).toBeGreaterThanOrEqual(0.1 * 8 * MIB);
    expect(report.freeBytes).toBeLessThan(0.1 * 8 * MIB + 2 * 65_536);
    return { accepted: report.written, delivered: report.written, lost: 0 };
  },
);

scenario(
  {
    promise: 'a write that finds the disk full leaves the old file whole and nothing of its own',
    fault: 'a disk of 8 MiB, filled to its last byte (ENOSPC)',
    obstacle,
  },
  async () => {
    const report = await fill({ fileBytes: 700_000, toTheEnd: true });
    expect(report).toMatchObject({
      ...whole,
      streamCode: 'NETWORK_DISK_EXHAUSTED',
      streamCause: 'ENOSPC',
    });
    return {
      accepted: report.written,
      delivered: report.written,
      lost: 0,
      note: `fs.writeFile on the same disk left '${report.overwritten}' of a file that held 'GOOD'`,
    };
  },
);

scenario(
  {
    promise:
      'inodes that run out are refused in words although there are bytes, and both numbers are in the error',
    fault: 'a disk of 8 MiB with 64 inodes, filled with files of 10 bytes',
    obstacle,
  },
  async () => {
    const report = await fill({ fileBytes: 10, toTheEnd: false }, 'size=8m,nr_inodes=64');
    expect(report).toMatchObject({ ...whole, code: 'NETWORK_DISK_EXHAUSTED' });
    expect(report.freeBytes).toBeGreaterThan(7 * MIB);
    expect(report.freeInodes).toBeGreaterThanOrEqual(6);
    expect(report.freeInodes).toBeLessThan(9);
    expect(report.written).toBeGreaterThan(40);
    return { accepted: report.written, delivered: report.written, lost: 0 };
  },
);
