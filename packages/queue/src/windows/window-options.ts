import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import { checkJobId } from '../producer/payload.ts';
import type { Debounce } from '../backend.ts';

const DAY_MS = 86_400_000;
export const MAX_EXPIRY_MS: number = 3_650 * DAY_MS;

/** Of the jobs of one key that are enqueued within a window, one is handled. */
export interface DebounceOptions {
  /** What the jobs have in common, 1 to 200 characters, no control characters, no braces. */
  readonly key: string;
  /** From one `enqueue` to the next, by the wall clocks of the producers, in milliseconds: 1 to one day. */
  readonly windowMs: number;
  /**
   * `'first'`: the first job is accepted, and later ones of its window are dropped: their answers have `duplicate`. The
   * next job after the window begins another. `'replace'`: each job waits for `windowMs`, and one that is enqueued
   * meanwhile takes its place and waits anew: only the last is handled, once there was none for `windowMs`. Default
   * `'first'`.
   */
  readonly mode?: 'first' | 'replace';
}

/** The options of `enqueue` that concern until when a job is worth running, and beside which others. */
export interface WindowOptions {
  /**
   * How long the job is worth running, in milliseconds from its `enqueue`, by the wall clocks of the producer and of the
   * consumer. One that is older when it would be started, for the first time or again, is dropped, with the event
   * `expired` and `getStats().expired`; time in the fallback counts. More than `delayMs`. Default: for ever.
   */
  expiresInMs?: number;
  /**
   * Merges jobs of one key that are enqueued within a window, also when they reach Redis later and at once: the times of
   * their `enqueue` calls decide. Excludes `jobId`, and with `'replace'` also `delayMs`. Not on BullMQ:
   * OperationUnsupportedError. Default: each job is handled.
   */
  debounce?: DebounceOptions;
}

/** These options, validated. */
export interface ResolvedWindowOptions {
  readonly expiresInMs: number | undefined;
  readonly debounce: Debounce | undefined;
}

const debounceShape = {
  key: { permitted: 'a key', parse: (key: unknown) => checkJobId('enqueue', key) },
  windowMs: integer({ min: 1, max: DAY_MS }),
  mode: oneOf(['first', 'replace'], 'first'),
};

export const windowShape: {
  expiresInMs: OptionRule<number | undefined>;
  debounce: OptionRule<Debounce | undefined>;
} = {
  expiresInMs: optional(integer({ min: 1, max: MAX_EXPIRY_MS })),
  debounce: optional({
    permitted: 'an object with key and windowMs',
    parse: (value, field, owner) => parseOptions(owner, debounceShape, value, field),
  }),
};

/** What a submission has of them. */
interface Windows {
  readonly expiresInMs?: number;
  readonly debounce?: Debounce;
}

const NONE: Windows = {};

interface Others {
  readonly jobId: string | undefined;
  readonly delayMs: number;
}

/** @throws InvalidOptionError for options that exclude one another, and a job that would expire before it is due. */
export function windowsOf(
  { expiresInMs, debounce }: ResolvedWindowOptions,
  { jobId, delayMs }: Others,
): Windows {
  if (expiresInMs === undefined && debounce === undefined) return NONE;
  if (debounce !== undefined && jobId !== undefined) throw excluded('jobId', jobId);
  if (debounce?.mode === 'replace' && delayMs > 0) throw excluded('delayMs', delayMs);
  const dueInMs = waitOf(debounce, delayMs);
  if (expiresInMs !== undefined && expiresInMs <= dueInMs) {
    const permitted = `more than ${dueInMs}, when the job is due`;
    throw new InvalidOptionError('enqueue', 'expiresInMs', expiresInMs, permitted);
  }
  return {
    ...(expiresInMs !== undefined && { expiresInMs }),
    ...(debounce !== undefined && { debounce }),
  };
}

/** How long a job waits before it is due. */
export function waitOf(debounce: Debounce | undefined, delayMs: number): number {
  return debounce?.mode === 'replace' ? debounce.windowMs : delayMs;
}

function excluded(field: string, value: unknown): InvalidOptionError {
  return new InvalidOptionError('enqueue', field, value, 'absent when the job is debounced');
}
