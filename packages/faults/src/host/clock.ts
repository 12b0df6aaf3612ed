import { randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  HoldfastError,
  InvalidOptionError,
  integer,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { afterOwnEnd } from './after-own-end.ts';
import { clockEnvironment, clockLibrary, offsetBytes } from './clock-library.ts';
import { HostFaultUnavailableError, requireHostFault } from './host-capabilities.ts';

/** Options of `prepareClock`. */
export interface ClockOptions {
  /** The program that will read the clock, a file or a name on PATH; it is checked whether it can. */
  program?: string;
  /** The folder for the files that the processes read. Default: the system's temporary folder. */
  directory?: string;
}

/** The wall clock of the processes started with its environment; the machine's own does not move. */
export interface PreparedClock {
  /** The variables to add to a process that is to read this clock; its children inherit them. */
  readonly environment: Readonly<Record<string, string>>;
  /** How far it is ahead of the machine's clock, in milliseconds; negative when behind. */
  readonly offsetMs: number;
  /**
   * Moves the clock for running and future processes. Sleeping and monotonic clocks are not affected.
   * @throws InvalidOptionError, ClockClosedError
   */
  step(byMs: number): Promise<void>;
  /** Sets the machine's time. */
  heal(): Promise<void>;
  /** Returns whether a process reads this clock; a static program, for example, does not. */
  isReadBy(pid: number): Promise<boolean>;
  /** Sets the machine's time for good and removes the files. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The clock is closed and shows the machine's time. */
export class ClockClosedError extends HoldfastError {
  readonly code = 'FAULTS_CLOCK_CLOSED';

  constructor() {
    super('clock: it is closed, so it was not moved; prepare a new one for a new process', {
      outcome: 'not-applied',
    });
  }
}

/** A hundred years: more than any clock is wrong by, and within the range of nanoseconds in 64 bits. */
const MAX_OFFSET_MS = 3_153_600_000_000;
/** Sets the offset to 0 in place, because processes have the file mapped, and removes the folder. */
const RESET = 'dd if=/dev/zero of="$1" bs=8 count=1 conv=notrunc; rm -rf "$2"';
const path = optional(string({ maxLength: 4_096 }));
const shape = { program: path, directory: path };
const stepRule = integer({ min: -MAX_OFFSET_MS, max: MAX_OFFSET_MS });

/**
 * Prepares a wall clock that can be moved while processes read it: a preloaded library adds an offset from a shared,
 * mapped file.
 * @throws InvalidOptionError, HostFaultUnavailableError with the reason
 */
export async function prepareClock(options?: ClockOptions): Promise<PreparedClock> {
  const { program, directory = tmpdir() } = parseOptions('prepareClock', shape, options);
  await requireHostFault('clock', program);
  const compiled = await clockLibrary();
  if (!compiled.available) throw new HostFaultUnavailableError('clock', compiled);
  const folder = await mkdtemp(join(directory, 'holdfast-clock-'));
  const library = join(folder, `${randomUUID()}.so`);
  const offsetFile = join(folder, 'offset');
  // Processes of another user must be able to read both, which a home folder may forbid.
  await chmod(folder, 0o755);
  await copyFile(compiled.path, library);
  await writeFile(offsetFile, offsetBytes(0));
  const file = await open(offsetFile, 'r+');
  const release = afterOwnEnd(['sh', '-c', RESET, 'sh', offsetFile, folder]);
  let offsetMs = 0;
  let closing: Promise<void> | undefined;

  const set = async (toMs: number): Promise<void> => {
    offsetMs = toMs;
    // Written in place with one call, because the processes have the file mapped.
    await file.write(offsetBytes(toMs), 0, 8, 0);
  };
  const closeAll = async (): Promise<void> => {
    await set(0);
    await file.close();
    await rm(folder, { recursive: true, force: true });
    release();
  };
  const close = (): Promise<void> => (closing ??= closeAll());
  return {
    environment: clockEnvironment(library, offsetFile),
    get offsetMs() {
      return offsetMs;
    },
    async step(byMs) {
      if (closing !== undefined) throw new ClockClosedError();
      const toMs = offsetMs + stepRule.parse(byMs, 'byMs', 'clock.step');
      if (Math.abs(toMs) > MAX_OFFSET_MS) {
        const permitted = `one that leaves it within ${MAX_OFFSET_MS} of the machine's, which it is ${offsetMs} from`;
        throw new InvalidOptionError('clock.step', 'byMs', byMs, permitted);
      }
      await set(toMs);
    },
    heal: async () => (closing === undefined ? set(0) : closing),
    async isReadBy(pid) {
      const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
      return maps.includes(library);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
