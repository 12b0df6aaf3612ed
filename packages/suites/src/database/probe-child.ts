import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { PoolProbeResult } from '@holdfast/database/probes';

/** Longer than the observation time of a probe, including the start and end of its servers. */
const LIMIT_MS = 60_000;

/** Runs a probe in a child process, so that a pool that ends the process gets a verdict as well. */
export function probeInChild(pool: string, probe: string): Promise<PoolProbeResult> {
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

function rowIn(printed: string): PoolProbeResult | undefined {
  const line = printed.trim().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? JSON.parse(line) : undefined;
}

/** The line of stderr that names the uncaught error. */
function lastWords(stderr: string): string {
  const errorLine = stderr.split('\n').find((line) => /^(?:\w*Error\b|error:)/.test(line.trim()));
  return (errorLine ?? 'no output').trim().slice(0, 100);
}
