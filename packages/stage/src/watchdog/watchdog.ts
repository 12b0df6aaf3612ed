import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Clock, settlesWithin } from '@holdfast/foundation';
import { compileCache } from '../system/compile-cache.ts';
import { READY, type GuardedResource, encodeMessage } from './protocol.ts';

/**
 * A process of its own that notices the end of this one, a SIGKILL included, by the end of the pipe
 * between them, and then removes what was still guarded.
 */
export interface Watchdog {
  /** Guards `ward` until the returned function is called. */
  guard(ward: GuardedResource): () => void;
  /** Tells it that the stage stands, so that it may take the time to prepare. */
  ready(): void;
  /** Ends the watchdog; what is still guarded is removed first. */
  close(): Promise<void>;
}

/** How long the watchdog may take to remove what is left at {@link Watchdog.close}. */
const CLOSE_TIMEOUT_MS = 10_000;

export function openWatchdog(clock: Clock): Watchdog {
  // Beside this file: the source in the workspace, the built file when published.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`./watchdog-main${extension}`, import.meta.url));
  let closed: Promise<void> | undefined;
  const child = spawn(process.execPath, [script], {
    // A session of its own: Ctrl-C in the terminal ends the runner, not its watchdog.
    detached: true,
    cwd: '/',
    // Nothing of NODE_OPTIONS and the like: no debugger, no hooks.
    env: compileCache(process.env),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => {
    const report = (how: string): void => {
      if (closed === undefined) process.emitWarning(`the stage goes on unguarded: ${how}`);
      resolve();
    };
    child.once('exit', (code, signal) => {
      report(`its watchdog ended with ${signal ?? `exit code ${code}`}`);
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      report(`its watchdog could not be started (${error.code})`);
    });
  });
  child.unref();
  // A write that fails means that the watchdog is gone; close() will find that out as well.
  child.stdin.on('error', () => undefined);

  const guarded = new Set<number>();
  let lastId = 0;

  const close = async (): Promise<void> => {
    // With nothing to remove there is no need to let it finish starting up.
    if (guarded.size === 0) child.kill('SIGKILL');
    else child.stdin.end();
    if (await settlesWithin(clock, CLOSE_TIMEOUT_MS, ended)) return;
    child.kill('SIGKILL');
    await ended;
  };

  return {
    guard(ward) {
      const id = (lastId += 1);
      guarded.add(id);
      child.stdin.write(encodeMessage({ type: 'guard', id, ward }));
      return () => {
        if (guarded.delete(id)) child.stdin.write(encodeMessage({ type: 'release', id }));
      };
    },
    ready: () => void child.stdin.write(READY),
    close: () => (closed ??= close()),
  };
}
