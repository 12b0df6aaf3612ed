import { systemClock } from '@holdfast/foundation';
import { type ProcessContext, runHoldfast } from '../src/index.ts';

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in this process. */
export async function runCli(
  args: readonly string[],
  overrides: Partial<ProcessContext> = {},
): Promise<CliRun> {
  let [stdout, stderr] = ['', ''];
  const exitCode = await runHoldfast(args, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    variables: {},
    clock: systemClock,
    signal: new AbortController().signal,
    ...overrides,
  });
  return { exitCode, stdout, stderr };
}
