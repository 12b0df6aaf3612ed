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
import { clockEnvironment, clockLibrary, offsetBytes } from './clock-library.ts';
import { HostFaultUnavailableError, requireHostFault } from './plan.ts';

export interface ClockOptions {
  /** The program that will read it, a file or a name on PATH: whether it can is found out before. */
  program?: string;
  /** Where what the processes have to find is put. Default: the system's temporary folder. */
  directory?: string;
}

/** The wall clock of the processes that are started with its variables; the machine's own does not move. */
export interface PreparedClock {
  /** To be added to the variables of the processes that are to read this clock, they and all they start. */
  readonly environment: Readonly<Record<string, string>>;
  /** How far it is ahead of the machine's, in milliseconds; negative behind it. */
  readonly offsetMs: number;
  /**
   * Moves it, forward or back, for the processes that run and for those to come. What they sleep and what
   * they measure by a monotonic clock stays true. @throws InvalidOptionError, ClockClosedError
   */
  step(byMs: number): Promise<void>;
  /** Back to the machine's time. */
  heal(): Promise<void>;
  /** Whether a process reads it: one that preloads nothing, such as a static program, does not. */
  isReadBy(pid: number): Promise<boolean>;
  /** Back to the machine's time, for good; what it left on the disk is removed. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The clock was closed before; it says the machine's time. */
export class ClockClosedError extends HoldfastError {
  readonly code = 'FAULTS_CLOCK_CLOSED';

  constructor() {
    super('clock: it was closed, so it was not moved; prepare a new one for a new process', {
      outcome: 'not-applied',
    });
  }
}

/** A hundred years: more than any clock is wrong by, and less than its nanoseconds can say. */
const MAX_OFFSET_MS = 3_153_600_000_000;
const path = optional(string({ maxLength: 4_096 }));
const shape = { program: path, directory: path };
const stepRule = integer({ min: -MAX_OFFSET_MS, max: MAX_OFFSET_MS });

/**
 * Prepares a wall clock that can be moved while the processes that read it run: a library is preloaded into
 * them, which adds an offset that they share by a mapped file.
 * @throws InvalidOptionError, HostFaultUnavailableError with the reason
 */
export async function prepareClock(options?: ClockOptions): Promise<PreparedClock> {
  const { program, directory = tmpdir() } = parseOptions('prepareClock', shape, options);
  await requireHostFault('clock', program);
  const made = await clockLibrary();
  if ('reason' in made) throw new HostFaultUnavailableError('clock', made.reason);
  const folder = await mkdtemp(join(directory, 'holdfast-clock-'));
  const library = join(folder, `${randomUUID()}.so`);
  const offsetFile = join(folder, 'offset');
  // Processes of another user must find both, which the home of a user, and its cache, may forbid.
  await chmod(folder, 0o755);
  await copyFile(made.path, library);
  await writeFile(offsetFile, offsetBytes(0));
  const file = await open(offsetFile, 'r+');
  let offsetMs = 0;
  let closing: Promise<void> | undefined;

  const set = async (toMs: number): Promise<void> => {
    offsetMs = toMs;
    // In one piece, and in place: the processes have the file mapped.
    await file.write(offsetBytes(toMs), 0, 8, 0);
  };
  const closeAll = async (): Promise<void> => {
    await set(0);
    await file.close();
    await rm(folder, { recursive: true, force: true });
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
