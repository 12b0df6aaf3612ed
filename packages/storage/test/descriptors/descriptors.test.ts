/* oxlint-disable jest/no-standalone-expect -- onLinux is test, or test.skip where there is no /proc */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import type { Report } from './rounds.ts';

const ROUNDS = 40;
const run = promisify(execFile);
// Descriptors are counted in /proc.
const onLinux = process.platform === 'linux' ? test : test.skip;

/** Plays the rounds in a process of its own, which may open 90 files and sockets. */
async function playRounds(): Promise<Report> {
  const script = fileURLToPath(new URL('rounds.ts', import.meta.url));
  const command = `ulimit -n 90; exec "${process.execPath}" "${script}" ${ROUNDS}`;
  const { stdout } = await run('bash', ['-c', command], { timeout: 100_000 });
  return JSON.parse(stdout);
}

onLinux(
  'after bodies that break off on either side, stall, are answered early, or are left by their callers, nothing is open',
  async () => {
    const { report, unhandled } = await playRounds();
    const flat = { results: { failed: ROUNDS }, files: [], more: 0 };
    expect(report).toEqual({
      'S3, PutObject': flat,
      'S3, UploadPart': flat,
      'S3, download': flat,
      'Supabase, in one request': flat,
      'Supabase, PATCH of TUS': flat,
      'Supabase, download': flat,
    });
    expect(unhandled).toEqual([]);
  },
  120_000,
);
