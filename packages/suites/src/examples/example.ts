import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { environment } from '@holdfast/foundation';
import { waitUntil } from '../wait-until.ts';

/** The folder of all examples. */
export const EXAMPLES: string = join(import.meta.dirname, '../../../../examples');

/** What Node has compiled is kept for the next process: a start takes a third of the CPU. */
const COMPILED = join(tmpdir(), 'holdfast-compiled');

export interface ExampleOptions {
  /** The folder in which it is started. */
  readonly folder: string;
  /** Its file, from the folder. */
  readonly entry: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A running example: a process of its own. */
export interface Example {
  readonly pid: number;
  /** The lines that it has written to its standard output. */
  readonly lines: readonly string[];
  /** Resolves with the first line that matches. @throws Error with its output when there is none within a minute */
  line(pattern: RegExp): Promise<string>;
  /** The address at which it listens, as it says itself. */
  url(): Promise<string>;
  /** Writes a line to its standard input. */
  write(line: string): void;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with how it ended, once it has ended by itself. @throws Error with what it wrote, when it failed */
  ended(): Promise<number>;
  /** Sends SIGTERM, unless it has ended. Resolves with how it ended. */
  stop(): Promise<number | NodeJS.Signals>;
  /** Sends SIGKILL, unless it has ended. */
  kill(): Promise<void>;
}

/** Starts an example as its README says, on a port that is free. */
function startExample({ folder, entry, args = [], env = {} }: ExampleOptions): Example {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: folder,
    env: { ...environment, NODE_COMPILE_CACHE: COMPILED, PORT: '0', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${entry} could not be started`);
  const lines: string[] = [];
  const errors: string[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => lines.push(text));
  createInterface({ input: child.stderr }).on('line', (text) => errors.push(text));
  const ended = once(child, 'close');
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;

  async function line(pattern: RegExp): Promise<string> {
    const found = (): string | undefined => lines.find((one) => pattern.test(one));
    await waitUntil(() => found() !== undefined || !isRunning());
    const one = found();
    if (one === undefined) throw new Error(`${entry} ended: ${[...lines, ...errors].join('\n')}`);
    return one;
  }

  return {
    pid,
    lines,
    line,
    async url() {
      const [, port] = /(\d+)\D*$/.exec(await line(/^listening/)) ?? [];
      return `http://127.0.0.1:${port}`;
    },
    write: (text) => void child.stdin.write(`${text}\n`),
    signal: (signal) => void child.kill(signal),
    async ended() {
      await ended;
      if (child.exitCode !== 0) throw new Error(`${entry} failed: ${errors.join('\n')}`);
      return child.exitCode;
    },
    async stop() {
      if (isRunning()) child.kill('SIGTERM');
      await ended;
      return child.exitCode ?? child.signalCode ?? 0;
    },
    async kill() {
      child.kill('SIGKILL');
      if (isRunning()) await once(child, 'exit');
    },
  };
}

/** The examples and folders of a test file, ended and removed together. */
export interface ExampleFixture {
  start(options: ExampleOptions): Example;
  directory(): Promise<string>;
  close(): Promise<void>;
}

export function openExamples(): ExampleFixture {
  const started: Example[] = [];
  const directories: string[] = [];
  return {
    start(options) {
      const example = startExample(options);
      started.push(example);
      return example;
    },
    async directory() {
      const made = await mkdtemp(join(tmpdir(), 'holdfast-example-'));
      directories.push(made);
      return made;
    },
    async close() {
      await Promise.all(started.map((example) => example.kill()));
      await Promise.all(directories.map((made) => rm(made, { recursive: true, force: true })));
    },
  };
}
