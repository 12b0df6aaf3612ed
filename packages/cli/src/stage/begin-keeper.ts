import { type ChildProcess, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { onAbort } from '@holdfast/foundation';
import { EXIT } from '../exit-codes.ts';
import type { KeeperMessage, KeeperRequest } from './keeper-protocol.ts';
import type { KeptStage } from './stage-state.ts';

/** The stage, or why there is none. */
type KeeperResult =
  | { readonly kind: 'up'; readonly stage: KeptStage }
  | { readonly kind: 'failed'; readonly text: string; readonly exitCode: number };

interface KeeperOptions {
  readonly request: KeeperRequest;
  /** What the servers and their keeper print. */
  readonly logFile: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  onNotice(text: string): void;
}

/**
 * Starts the process that keeps a stage, and resolves when the stage is up, or that process has ended without it. When
 * the signal aborts, nothing is left, and it rejects with the signal's reason.
 */
export async function beginKeeper(options: KeeperOptions): Promise<KeeperResult> {
  const { request, logFile, variables, signal } = options;
  // Beside this file's folder: the source in the workspace, the built file when published.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`../bin/stage-keeper-main${extension}`, import.meta.url));
  const log = await open(logFile, 'w');
  if (signal.aborted) await log.close();
  signal.throwIfAborted();
  const child = spawn(process.execPath, [script, JSON.stringify(request)], {
    // In a session of its own, so that the end of this terminal is not its end.
    detached: true,
    env: { ...variables },
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
  });
  const release = onAbort(signal, () => child.kill('SIGTERM'));
  try {
    const [result] = await Promise.all([resultOf(child, options), log.close()]);
    signal.throwIfAborted();
    child.unref();
    return result;
  } finally {
    release();
  }
}

/** @throws the error with which a program cannot be started */
function resultOf(child: ChildProcess, options: KeeperOptions): Promise<KeeperResult> {
  const { signal, logFile } = options;
  return new Promise<KeeperResult>((resolve, reject) => {
    let failure: KeeperResult | undefined;
    let remaining = 2;
    // What it has sent before its end may be read after it.
    const ended = (): void => {
      remaining -= 1;
      if (remaining > 0) return;
      const end = child.signalCode ?? `exit code ${child.exitCode}`;
      const text = `the process that was to keep the servers ended with ${end}; see ${logFile}`;
      resolve(failure ?? { kind: 'failed', text, exitCode: EXIT.unexpected });
    };
    child.once('exit', ended);
    child.once('disconnect', ended);
    child.once('error', reject);
    child.on('message', (message: KeeperMessage) => {
      if (message.kind === 'notice') options.onNotice(message.text);
      else if (message.kind === 'failed') failure = message;
      // Otherwise it is ending, because the signal has reached it.
      else if (!signal.aborted) resolve(message);
    });
  });
}
