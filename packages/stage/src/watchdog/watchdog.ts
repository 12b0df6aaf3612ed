import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Clock, environment, settlesWithin } from '@holdfast/foundation';
import { compileCache } from '../system/compile-cache.ts';
import { type GuardedResource, READY, encodeMessage } from './protocol.ts';

/**
 * A separate process that notices the end of this one, also by SIGKILL, when the pipe between them is closed,
 * and then removes what is still guarded.
 */
export interface Watchdog {
  /** Guards a resource until the returned function is called. */
  guard(resource: GuardedResource): () => void;
  /** Reports that the stage is open, so that the watchdog loads what it needs. */
  ready(): void;
  /** Ends the watchdog, which first removes what is still guarded. */
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
    // In a session of its own, so that Ctrl-C in the terminal ends the test runner alone.
    detached: true,
    cwd: '/',
    // Without NODE_OPTIONS and the like: no debugger, no hooks.
    env: compileCache(environment),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => {
    const report = (end: string): void => {
      if (closed === undefined) process.emitWarning(`the stage is no longer guarded: ${end}`);
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
  // A failed write means that the watchdog has ended, which close() finds out as well.
  child.stdin.on('error', () => undefined);

  const guarded = new Set<number>();
  let lastId = 0;

  const close = async (): Promise<void> => {
    // With nothing to remove, do not wait until it has started up.
    if (guarded.size === 0) child.kill('SIGKILL');
    else child.stdin.end();
    if (await settlesWithin(clock, CLOSE_TIMEOUT_MS, ended)) return;
    child.kill('SIGKILL');
    await ended;
  };

  return {
    guard(resource) {
      const id = (lastId += 1);
      guarded.add(id);
      child.stdin.write(encodeMessage({ kind: 'guard', id, resource }));
      return () => {
        if (guarded.delete(id)) child.stdin.write(encodeMessage({ kind: 'release', id }));
      };
    },
    ready: () => void child.stdin.write(READY),
    close: () => (closed ??= close()),
  };
}
