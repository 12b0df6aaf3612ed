import type { Clock } from '@holdfast/foundation';

/** The part of `process.stdout` that is used. */
export interface OutputStream {
  readonly isTTY?: boolean;
  /** Of the terminal, at this moment. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** What the command has of its process. */
export interface ProcessContext {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborted with an {@link CliInterruption}, after which a command ends what it has started. */
  readonly signal: AbortSignal;
}

/** What a command works with. */
export interface CliContext extends ProcessContext {
  /** Sets the exit code; without a call it is 0. */
  exitWith(code: number): void;
}

/** By a signal of the system. */
export class CliInterruption extends Error {
  readonly exitCode: number;

  constructor(name: string, number: number) {
    super(`interrupted by ${name}`);
    this.exitCode = 128 + number;
  }
}
