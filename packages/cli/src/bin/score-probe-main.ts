/** `node score-probe-main.ts <request>`: one probe of a module, in a process that the module may end or block. */
import { mkdirSync } from 'node:fs';
import { propertyOf, systemClock } from '@holdfast/foundation';
import { describeError, exitCodeOf } from '../describe-error.ts';
import { EXIT } from '../exit-codes.ts';
import type { ScoreAnswer, ScoreRequest } from '../score/score-protocol.ts';
import { importScored } from '../score/scored-module.ts';

const request: ScoreRequest = JSON.parse(process.argv[2] ?? '{}');

async function answer(): Promise<ScoreAnswer> {
  const { kind, path, probe, mode, directory } = request;
  try {
    if (probe === undefined) {
      await importScored(kind, path);
      return { kind: 'imported' };
    }
    // Later: a module that cannot be used is told without loading any client.
    const { runOne } = await import('../score/probe-list.ts');
    mkdirSync(directory, { recursive: true });
    const checks = await runOne(kind, path, probe, { mode, directory, clock: systemClock });
    return { kind: 'checks', checks };
  } catch (error) {
    const text = describeError(error);
    const exitCode = exitCodeOf(error);
    const isOurs =
      propertyOf(error, 'code') === 'CLI_SCORED_MODULE' || exitCode === EXIT.unavailable;
    return isOurs ? { kind: 'failed', text, exitCode } : { kind: 'threw', text };
  }
}

const result = await answer();
// What the module does after this is not judged. Work that it left must not keep the process.
process.on('uncaughtException', () => undefined);
process.send?.(result, () => process.exit(0));
