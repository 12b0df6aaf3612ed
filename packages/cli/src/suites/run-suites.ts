import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onAbort } from '@holdfast/foundation';
import type { ProcessContext } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import type { SuiteRunner } from './runner.ts';

/** The choices of one run. */
export interface SuiteChoice {
  readonly patterns: readonly string[];
  /** Flags of Jest. */
  readonly flags?: readonly string[];
  readonly seed?: number | undefined;
  readonly stage?: string | undefined;
  /** The folder of the report, when it is not the usual one. */
  readonly report?: string | undefined;
}

/** The environment variables of a choice. */
export function variablesOf({ seed, stage, report }: SuiteChoice): Record<string, string> {
  return {
    ...(seed === undefined ? {} : { HOLDFAST_SEED: String(seed) }),
    ...(stage === undefined ? {} : { HOLDFAST_STAGE: stage }),
    ...(report === undefined ? {} : { HOLDFAST_REPORT: report }),
  };
}

/** Runs the suites on this terminal; a signal reaches them, so that they write the report of what ran. */
export async function runSuites(
  runner: SuiteRunner,
  choice: SuiteChoice,
  { variables, signal }: Pick<ProcessContext, 'variables' | 'signal'>,
): Promise<number> {
  signal.throwIfAborted();
  const words = runner.commandFor(choice.patterns, choice.flags);
  const child = spawn(process.execPath, words, {
    cwd: runner.folder,
    stdio: 'inherit',
    // Not of this process's group: a Ctrl-C reaches it once.
    detached: true,
    env: { ...variables, ...variablesOf(choice) },
  });
  const release = onAbort(signal, () => child.kill('SIGTERM'));
  try {
    const [code] = await once(child, 'exit');
    signal.throwIfAborted();
    if (code === EXIT.done || code === EXIT.usage) return code;
    return EXIT.failed;
  } finally {
    release();
  }
}
