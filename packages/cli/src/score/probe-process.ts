import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Clock, onAbort } from '@holdfast/foundation';
import type { ScoreAnswer, ScoreRequest } from './score-protocol.ts';

/** How the process of a probe ended. */
export type ProbeEnd =
  | ScoreAnswer
  | { readonly kind: 'hangs'; readonly afterMs: number }
  /** Without an answer, with the error that it wrote. */
  | { readonly kind: 'died'; readonly how: string; readonly said: string };

interface ProbeProcessOptions {
  readonly request: ScoreRequest;
  readonly limitMs: number;
  readonly clock: Clock;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Enough for the error that ended it; what follows is its stack. */
const MAX_STDERR = 16_384;
const MAX_SAID = 120;

/**
 * Runs one probe in a process of its own, which is killed when it takes too long; the servers of its stage end with it.
 * Rejects only with the signal's reason.
 */
export async function runInProcess(options: ProbeProcessOptions): Promise<ProbeEnd> {
  const { request, limitMs, clock, variables, signal } = options;
  signal.throwIfAborted();
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`../bin/score-probe-main${extension}`, import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(request)], {
    env: { ...variables },
    // What the module prints is not part of the table.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, MAX_STDERR);
  });
  const release = onAbort(signal, () => child.kill('SIGKILL'));
  let isLate = false;
  const timer = clock.schedule(limitMs, () => {
    isLate = true;
    child.kill('SIGKILL');
  });
  try {
    const answer = await answerOf(child);
    signal.throwIfAborted();
    if (answer !== undefined) return answer;
    if (isLate) return { kind: 'hangs', afterMs: limitMs };
    return {
      kind: 'died',
      how: child.signalCode ?? `exit code ${child.exitCode}`,
      said: errorLine(said),
    };
  } finally {
    release();
    timer.cancel();
    child.kill('SIGKILL');
  }
}

/** The line that names the error. */
function errorLine(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const named =
    lines.find((line) => /^\w*error\b.*:/iu.test(line)) ?? lines[0] ?? 'it said nothing';
  return named.trim().slice(0, MAX_SAID);
}

/** Its answer, or undefined when it ended without one. */
async function answerOf(child: ChildProcess): Promise<ScoreAnswer | undefined> {
  let answer: ScoreAnswer | undefined;
  // Only its own program has the channel, beside a module that speaks on it to forge its score.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own program
  child.once('message', (message) => (answer = message as ScoreAnswer));
  await once(child, 'exit');
  return answer;
}
