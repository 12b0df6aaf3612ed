import {
  type Clock,
  type Random,
  callback,
  integer,
  objectWith,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';

/** Options of `createClaudeModel`. All times in milliseconds. */
export interface ClaudeOptions {
  /** Returns the key of the API; asked before each request, so that it can be replaced. */
  readonly apiKey: () => string;
  /** The name of the model. */
  readonly model: string;
  /** Default `https://api.anthropic.com`. */
  readonly baseUrl?: string;
  /** The most tokens of one answer. Default 8,192. */
  readonly maxAnswerTokens?: number;
  /** The tokens of all requests together; beyond it none is sent. Default 10,000,000. */
  readonly budgetTokens?: number;
  /** The longest that one attempt may take, in milliseconds. Default 120,000. */
  readonly timeoutMs?: number;
  /** The longest silence within an answer, in milliseconds. Default 30,000. */
  readonly idleTimeoutMs?: number;
  /** Attempts for each answer, 1 to 20. Default 5. */
  readonly maxAttempts?: number;
  /** The delay before the second attempt, in milliseconds; it doubles. Default 1,000. */
  readonly initialDelayMs?: number;
  /** The longest delay, also one that the API asks for, in milliseconds. Default 60,000. */
  readonly maxDelayMs?: number;
  /** Failed attempts in a row after which none is sent for `openDurationMs`. Default 10. */
  readonly failureThreshold?: number;
  /** How long none is sent then, in milliseconds. Default 30,000. */
  readonly openDurationMs?: number;
  /** The longest answer, in bytes. Default 4 MiB. */
  readonly maxAnswerBytes?: number;
  /** Sends the requests. Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

/** The options with their defaults. */
export type ResolvedClaudeOptions = Required<ClaudeOptions>;

const LONGEST_MS = 3_600_000;
const MAX_TOKENS = 1_000_000_000;
const duration = (fallback: number): ReturnType<typeof integer> =>
  integer({ min: 1, max: LONGEST_MS, default: fallback });

const schema = {
  apiKey: callback<() => string>(),
  model: string({ maxLength: 200 }),
  baseUrl: string({ maxLength: 2_000, default: 'https://api.anthropic.com' }),
  maxAnswerTokens: integer({ min: 1, max: MAX_TOKENS, default: 8_192 }),
  budgetTokens: integer({ min: 1, max: MAX_TOKENS, default: 10_000_000 }),
  timeoutMs: duration(120_000),
  idleTimeoutMs: duration(30_000),
  maxAttempts: integer({ min: 1, max: 20, default: 5 }),
  initialDelayMs: duration(1_000),
  maxDelayMs: duration(60_000),
  failureThreshold: integer({ min: 1, max: 1_000, default: 10 }),
  openDurationMs: duration(30_000),
  maxAnswerBytes: integer({ min: 1, max: 1_073_741_824, default: 4_194_304 }),
  fetch: callback<typeof globalThis.fetch>((...args) => globalThis.fetch(...args)),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError */
export function parseClaudeOptions(given: ClaudeOptions): ResolvedClaudeOptions {
  return parseOptions('createClaudeModel', schema, given);
}
