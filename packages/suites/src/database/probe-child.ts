import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { ProbeRow } from '@holdfast/database/probes';

/** Longer than a probe is watched for, with its servers started and ended. */
const LIMIT_MS = 60_000;

/** Runs a probe in a process of its own, so that one which ends the process is a verdict as well. */
export function probeInChild(pool: string, probe: string): Promise<ProbeRow> {
  const main = join(import.meta.dirname, 'probe-main.ts');
  const options = { encoding: 'utf8', timeout: LIMIT_MS, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, [main, pool, probe], options, (_failure, stdout, stderr) => {
      const row = rowIn(stdout);
      if (row !== undefined) resolve(row);
      else resolve({ probe, verdict: 'dies', seen: lastWords(stderr) });
    });
  });
}

function rowIn(printed: string): ProbeRow | undefined {
  const line = printed.trim().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? JSON.parse(line) : undefined;
}

/** The line of an uncaught error that says what it was. */
function lastWords(stderr: string): string {
  const errorLine = stderr.split('\n').find((line) => /^(?:\w*Error\b|error:)/.test(line.trim()));
  return (errorLine ?? 'no output').trim().slice(0, 100);
}
