import {
  type OptionRule,
  InvalidOptionError,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';

/** What a job asks of the consumer that handles it; it precedes the options of the consumer. */
export interface JobOptions {
  /** The number of attempts before the job is dead-lettered. 1 to 1 000. */
  maxAttempts?: number;
  /** The delays between its attempts. */
  backoff?: JobBackoff;
  /** How long one attempt may take, in milliseconds, as the option of `process`. */
  timeoutMs?: number;
}

/** The delays between the attempts of a job. A `retry` function of the consumer is asked first. */
export type JobBackoff =
  | {
      kind: 'constant';
      /** In milliseconds. 0 to one year. */
      delayMs: number;
    }
  | {
      kind: 'exponential';
      /** Before the second attempt, in milliseconds. */
      delayMs: number;
      /** The longest, in milliseconds. Default 60 000, or `delayMs` where that is longer. */
      maxDelayMs?: number;
      /** From one delay to the next. 1 to 10, default 2. */
      multiplier?: number;
    };

/** The options of a job with the defaults of its backoff filled in. */
interface ResolvedJobOptions {
  readonly maxAttempts?: number;
  readonly backoff?: ResolvedBackoff;
  readonly timeoutMs?: number;
}

/** The options of a job as they are parsed. */
export interface RequestedJobOptions {
  readonly maxAttempts: number | undefined;
  readonly backoff: ResolvedBackoff | undefined;
  readonly timeoutMs: number | undefined;
}

/** A constant delay has the multiplier 1. */
interface ResolvedBackoff {
  readonly delayMs: number;
  readonly maxDelayMs: number;
  readonly multiplier: number;
}

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const MAX_DELAY_MS = 60_000;
const MAX_MULTIPLIER = 10;
const NONE: ResolvedJobOptions = {};

const constantShape = {
  kind: oneOf(['constant', 'exponential'], 'constant'),
  delayMs: integer({ min: 0, max: YEAR_MS }),
};

const exponentialShape = {
  kind: oneOf(['constant', 'exponential'], 'exponential'),
  delayMs: integer({ min: 1, max: YEAR_MS }),
  maxDelayMs: optional(integer({ min: 1, max: YEAR_MS })),
  multiplier: number({ min: 1, max: MAX_MULTIPLIER, default: 2 }),
};

/** The rules of a job's options. */
export const jobOptionsShape: {
  readonly [Key in keyof RequestedJobOptions]: OptionRule<RequestedJobOptions[Key]>;
} = {
  maxAttempts: optional(integer({ min: 1, max: 1_000 })),
  backoff: optional(backoffRule()),
  timeoutMs: optional(integer({ min: 1, max: DAY_MS })),
};

/** The attributes of a job that asks for this; `undefined` for nothing. */
export function attributesOf({
  maxAttempts,
  backoff,
  timeoutMs,
}: RequestedJobOptions): string | undefined {
  const parts: string[] = [];
  if (maxAttempts !== undefined) parts.push(`attempts:${maxAttempts}`);
  if (backoff !== undefined) {
    parts.push(`backoff:${backoff.delayMs},${backoff.maxDelayMs},${backoff.multiplier}`);
  }
  if (timeoutMs !== undefined) parts.push(`timeout:${timeoutMs}`);
  return parts.length === 0 ? undefined : parts.join(';');
}

/** What the attributes of a job ask for; those of other parts, and of later releases, are passed over. */
export function jobOptionsOf(attributes: string | undefined): ResolvedJobOptions {
  if (attributes === undefined) return NONE;
  const values = new Map(attributes.split(';').map(valuesOf));
  const [maxAttempts] = values.get('attempts') ?? [];
  const [delayMs, maxDelayMs = 0, multiplier = 1] = values.get('backoff') ?? [];
  const [timeoutMs] = values.get('timeout') ?? [];
  return {
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(delayMs !== undefined && { backoff: { delayMs, maxDelayMs, multiplier } }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

/** The name of a part, and its numbers. */
function valuesOf(part: string): [string, number[]] {
  const at = part.indexOf(':');
  const numbers = part
    .slice(at + 1)
    .split(',')
    .map(Number);
  return [part.slice(0, at), numbers];
}

/** The delay after the failed attempt of this number, in milliseconds. */
export function backoffDelayMs(
  { delayMs, maxDelayMs, multiplier }: ResolvedBackoff,
  attempt: number,
): number {
  return Math.min(maxDelayMs, Math.round(delayMs * multiplier ** (attempt - 1)));
}

function backoffRule(): OptionRule<ResolvedBackoff> {
  const permitted = `{ kind: 'constant', delayMs } or { kind: 'exponential', delayMs, maxDelayMs, multiplier }`;
  return {
    permitted,
    parse(value, field, owner) {
      const kind: unknown = Object(value).kind;
      if (kind === 'constant') {
        const { delayMs } = parseOptions(owner, constantShape, value, field);
        return { delayMs, maxDelayMs: delayMs, multiplier: 1 };
      }
      if (kind !== 'exponential') throw new InvalidOptionError(owner, field, value, permitted);
      const { delayMs, maxDelayMs, multiplier } = parseOptions(
        owner,
        exponentialShape,
        value,
        field,
      );
      const longestMs = maxDelayMs ?? Math.max(MAX_DELAY_MS, delayMs);
      if (longestMs < delayMs) {
        const least = `at least ${field}.delayMs (${delayMs})`;
        throw new InvalidOptionError(owner, `${field}.maxDelayMs`, longestMs, least);
      }
      return { delayMs, maxDelayMs: longestMs, multiplier };
    },
  };
}
