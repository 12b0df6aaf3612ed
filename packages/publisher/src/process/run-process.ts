import { spawn, type ChildProcess } from 'node:child_process';
import { type Clock, describeThrown, onAbort, settlesWithin } from '@holdfast/foundation';
import { groupMemoryBytes, signalGroup } from './process-group.ts';

/** One run of a program. */
interface ProcessSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  /** The longest that it may run, in milliseconds. */
  readonly timeoutMs: number;
  /** The time from SIGTERM to SIGKILL, in milliseconds. */
  readonly killGraceMs: number;
  /** The most that is kept of each of its outputs, in bytes: the last of it. */
  readonly maxOutputBytes: number;
  /** The most memory of it and all its children together, in bytes. Default: no limit. */
  readonly maxMemoryBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock: Clock;
}

/** How a program ended: by itself, or by the limit that it reached. */
type ProcessEnd = 'exited' | 'timeout' | 'memory' | 'aborted' | 'not-started';

/** What is known of a program that has ended. */
export interface ProcessResult {
  readonly endedBy: ProcessEnd;
  /** Absent when a signal ended it, or it could not start. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** The most memory seen of it and its children, in bytes; 0 where it was not watched. */
  readonly peakMemoryBytes: number;
  readonly durationMs: number;
}

const MEMORY_POLL_MS = 100;
/** The outputs may be held open by a process that left the group. */
const OUTPUT_CLOSE_MS = 1_000;

/**
 * Runs a program in a process group of its own, so that its end is the end of all it started: at the deadline, over
 * its memory, at an abort, and also when it ends by itself. Never rejects; the result says how it ended.
 */
export async function runProcess(spec: ProcessSpec): Promise<ProcessResult> {
  const { clock, signal } = spec;
  const startedMs = clock.now();
  const outputs = { stdout: new LastBytes(spec), stderr: new LastBytes(spec) };
  if (signal?.aborted === true) return notStarted('aborted', outputs);
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: { ...spec.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', (bytes: Buffer) => outputs.stdout.add(bytes));
  child.stderr.on('data', (bytes: Buffer) => outputs.stderr.add(bytes));
  const { pid } = child;
  const exit = exitOf(child);
  if (pid === undefined) {
    const error = await exit;
    outputs.stderr.add(Buffer.from(describeThrown(error.failure)));
    return notStarted('not-started', outputs);
  }
  const limits = new Limits(pid, spec);
  const { code, killedBy } = await exit;
  limits.stop();
  // Whatever it left behind has no parent that waits for it.
  signalGroup(pid, 'SIGKILL');
  await settlesWithin(clock, OUTPUT_CLOSE_MS, closeOf(child));
  return {
    endedBy: limits.reached ?? 'exited',
    code,
    signal: killedBy,
    stdout: outputs.stdout.text(),
    stderr: outputs.stderr.text(),
    peakMemoryBytes: limits.peakMemoryBytes,
    durationMs: clock.now() - startedMs,
  };
}

/** Ends the group at the first limit that it reaches. */
class Limits {
  readonly #group: number;
  readonly #spec: ProcessSpec;
  readonly #release: () => void;
  readonly #timers = new Set<() => void>();
  #isStopped = false;
  reached: ProcessEnd | undefined;
  peakMemoryBytes = 0;

  constructor(group: number, spec: ProcessSpec) {
    this.#group = group;
    this.#spec = spec;
    this.#release = onAbort(spec.signal, () => this.#end('aborted'));
    this.#later(spec.timeoutMs, () => this.#end('timeout'));
    if (spec.maxMemoryBytes !== undefined) this.#watchMemory(spec.maxMemoryBytes);
  }

  stop(): void {
    this.#isStopped = true;
    this.#release();
    for (const cancel of this.#timers) cancel();
  }

  #end(reached: ProcessEnd): void {
    if (this.reached !== undefined || this.#isStopped) return;
    this.reached = reached;
    signalGroup(this.#group, 'SIGTERM');
    this.#later(this.#spec.killGraceMs, () => signalGroup(this.#group, 'SIGKILL'));
  }

  #watchMemory(maxBytes: number): void {
    this.#later(MEMORY_POLL_MS, () => {
      void groupMemoryBytes(this.#group).then((bytes) => {
        if (bytes === undefined || this.#isStopped) return;
        this.peakMemoryBytes = Math.max(this.peakMemoryBytes, bytes);
        if (bytes > maxBytes) this.#end('memory');
        else this.#watchMemory(maxBytes);
      });
    });
  }

  #later(delayMs: number, act: () => void): void {
    const timer = this.#spec.clock.schedule(delayMs, () => {
      this.#timers.delete(cancel);
      act();
    });
    const cancel = (): void => timer.cancel();
    this.#timers.add(cancel);
  }
}

interface Exit {
  readonly code: number | undefined;
  readonly killedBy: NodeJS.Signals | undefined;
  readonly failure?: unknown;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', (failure) => resolve({ code: undefined, killedBy: undefined, failure }));
    child.once('exit', (code, killedBy) =>
      resolve({ code: code ?? undefined, killedBy: killedBy ?? undefined }),
    );
  });
}

function closeOf(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  const ended = streams.map(
    (stream) =>
      new Promise<void>((resolve) => {
        if (stream.closed) resolve();
        else stream.once('close', () => resolve());
      }),
  );
  return Promise.all(ended).then(() => undefined);
}

function notStarted(
  endedBy: ProcessEnd,
  { stdout, stderr }: { stdout: LastBytes; stderr: LastBytes },
): ProcessResult {
  return {
    endedBy,
    code: undefined,
    signal: undefined,
    stdout: stdout.text(),
    stderr: stderr.text(),
    peakMemoryBytes: 0,
    durationMs: 0,
  };
}

/** Keeps the end of an output. */
class LastBytes {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor({ maxOutputBytes }: ProcessSpec) {
    this.#maxBytes = maxOutputBytes;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes <= 2 * this.#maxBytes) return;
    const kept = Buffer.concat(this.#chunks).subarray(-this.#maxBytes);
    this.#chunks = [kept];
    this.#bytes = kept.length;
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#maxBytes).toString('utf8');
  }
}
