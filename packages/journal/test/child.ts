import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach } from '@jest/globals';

const started = new Set<Child>();

afterEach(async () => {
  for (const child of started) await child.kill();
});

/** A process of a test's own, whose lines it reads. */
export interface Child {
  readonly pid: number;
  readonly lines: string[];
  /** Resolves with the next line not yet taken that matches, or rejects if the process ends without it. */
  line(pattern: RegExp): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Ends its standard input and waits until it is gone. */
  finish(): Promise<void>;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
}

export function startOwner(directory: string, task: 'append' | 'hold'): Child {
  const script = fileURLToPath(new URL('owner-process.ts', import.meta.url));
  const spawned: ChildProcess = spawn(process.execPath, [script, directory, task], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { pid, stdin, stdout } = spawned;
  if (pid === undefined || stdin === null || stdout === null) throw new Error('node did not start');
  const lines: string[] = [];
  const ended = once(spawned, 'close');
  const reader = createInterface({ input: stdout });
  let taken = 0;
  reader.on('line', (text) => lines.push(text));
  const child: Child = {
    pid,
    lines,
    async line(pattern) {
      while (true) {
        while (taken < lines.length) {
          const text = lines[taken] ?? '';
          taken += 1;
          if (pattern.test(text)) return text;
        }
        const over = await Promise.race([once(reader, 'line'), ended.then(() => 'over' as const)]);
        if (over === 'over' && taken === lines.length) {
          throw new Error(`the process ended without ${String(pattern)}: ${lines.join(' | ')}`);
        }
      }
    },
    signal: (name) => void process.kill(pid, name),
    async finish() {
      stdin.end();
      await ended;
      started.delete(child);
    },
    async kill() {
      spawned.kill('SIGKILL');
      await ended;
      started.delete(child);
    },
  };
  started.add(child);
  return child;
}
