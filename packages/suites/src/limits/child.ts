import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** How a child process ended, and what it wrote. */
export interface ChildEnd<T> {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Its last line, if it came so far. */
  readonly report: T | undefined;
  readonly errors: string;
}

interface ChildSpec {
  /** A file of this folder. */
  readonly main: string;
  readonly options: object;
  readonly nodeFlags?: readonly string[];
  /** What the shell does first, such as `ulimit -n 64`. */
  readonly first?: string;
}

/** The command of a child whose limits a shell sets before it becomes the child itself. */
export function commandOf({ main, options, nodeFlags = [], first }: ChildSpec): readonly string[] {
  const path = join(import.meta.dirname, main);
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', ...nodeFlags, path];
  const command = [...node, JSON.stringify(options)];
  return first === undefined ? command : ['sh', '-c', `${first} && exec "$@"`, 'sh', ...command];
}

export function startChild(spec: ChildSpec): ChildProcess {
  const [program = '', ...rest] = commandOf(spec);
  return spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
}

/** The numbers that a child writes first, such as its port. @throws Error with what it wrote otherwise */
export async function firstNumbers(child: ChildProcess): Promise<readonly number[]> {
  const written: unknown[] = await Promise.race([
    once(child.stdout ?? child, 'data'),
    once(child, 'exit').then(() => []),
  ]);
  const numbers = String(written[0]).trim().split(' ').map(Number);
  if (numbers.every((number) => number > 0)) return numbers;
  throw new Error(`the child wrote no number first: ${await textOf(child.stderr)}`);
}

/** Waits for the end of a child that writes its report to stdout, as the last line. */
export async function childEnd<T>(child: ChildProcess): Promise<ChildEnd<T>> {
  const exited = once(child, 'exit');
  const [written, errors] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  await exited;
  const line = written.trim().split('\n').at(-1) ?? '';
  return {
    code: child.exitCode,
    signal: child.signalCode,
    report: line.startsWith('{') ? JSON.parse(line) : undefined,
    errors,
  };
}

/** The report of a child that ended well. @throws Error with what it wrote otherwise */
export function reportOf<T>({ code, signal, report, errors }: ChildEnd<T>): T {
  if (code === 0 && report !== undefined) return report;
  throw new Error(`the child ended with ${signal ?? code}: ${errors.slice(-2_000)}`);
}

async function textOf(stream: ChildProcess['stdout']): Promise<string> {
  return stream === null ? '' : text(stream);
}

/** The options that a main was started with. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what the main's own test passes
export function optionsOf<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}');
}
