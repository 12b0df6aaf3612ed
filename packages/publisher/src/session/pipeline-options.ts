import {
  type Clock,
  type OptionRule,
  type Random,
  callback,
  integer,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { BuildOptions } from '../build/run-build.ts';
import type { CredentialHolder } from '../git/credentials.ts';
import type { EditModel } from '../llm/edit-model.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { SessionStates } from './session-store.ts';

/** Where the pages of a client are published. */
export interface PublishTarget {
  /** Names it in logs, and its circuit. */
  readonly name: string;
  readonly publisher: Publisher;
}

/** Options of `createPublishPipeline`. All times in milliseconds. */
export interface PipelineOptions {
  /** The repository that edits are pushed to. */
  readonly remote: {
    /** The URL of the repository, without credentials. */
    readonly url: string;
    /** The credential, which may be replaced at any time. */
    readonly credentials: CredentialHolder;
  };
  /** Where a branch begins that the remote does not have. Default `main`. */
  readonly baseBranch?: string;
  /** A directory for this worker alone: clones and builds, removed when their run has ended. */
  readonly workDirectory: string;
  /** Linked as `node_modules` into each clone. Default: nothing is. */
  readonly modulesDirectory?: string;
  /** The language model that makes the edits. */
  readonly model: EditModel;
  /** How a site is built. */
  readonly build: BuildOptions;
  /** Where a client's site is published; called for each attempt. */
  readonly target: (clientId: string) => PublishTarget;
  /** Where the states of the sessions are kept. */
  readonly sessions: SessionStates;
  /** Who commits. Default: Holdfast. */
  readonly author?: {
    /** As it stands in the commit. */
    readonly name: string;
    /** As it stands in the commit. */
    readonly email: string;
  };
  /** The longest that one git command may run, in milliseconds. Default 120,000. */
  readonly gitTimeoutMs?: number;
  /** The longest that the remote may not answer, in milliseconds. Default 15,000. */
  readonly probeTimeoutMs?: number;
  /** The age from which a lock of git may be removed, in milliseconds. Default 60,000. */
  readonly staleLockMs?: number;
  /** Pushes that may lose a race before a pause, 1 to 100. Default 10. */
  readonly maxPushAttempts?: number;
  /** How often push and publish are each tried again after a pause, 0 to 10,000. Default 20. */
  readonly maxRounds?: number;
  /** The pause before the second round, in milliseconds; it doubles. Default 2,000. */
  readonly roundDelayMs?: number;
  /** The longest pause, in milliseconds. Default 300,000. */
  readonly maxRoundDelayMs?: number;
  /** How long a push waits for another credential, in milliseconds. Default one day. */
  readonly credentialWaitMs?: number;
  /** Failed publishes in a row that open the circuit of their target. Default 5. */
  readonly failureThreshold?: number;
  /** How long an open circuit lets nothing through, in milliseconds. Default 30,000. */
  readonly openDurationMs?: number;
  /** The longest of one stage, in milliseconds. Default 600,000. */
  readonly stageTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

/** The options with their defaults. */
export type ResolvedPipelineOptions = Required<Omit<PipelineOptions, 'modulesDirectory'>> & {
  readonly modulesDirectory: string | undefined;
};

const DAY_MS = 86_400_000;
const MAX_PATH = 4_096;
const MAX_NAME = 200;
const duration = (fallback: number): OptionRule<number> =>
  integer({ min: 1, max: DAY_MS, default: fallback });

const schema = {
  remote: objectWith<PipelineOptions['remote']>(['url', 'credentials']),
  baseBranch: string({ maxLength: MAX_NAME, default: 'main' }),
  workDirectory: string({ maxLength: MAX_PATH }),
  modulesDirectory: optional(string({ maxLength: MAX_PATH })),
  model: objectWith<EditModel>(['complete']),
  build: objectWith<BuildOptions>(['command', 'args']),
  target: callback<PipelineOptions['target']>(),
  sessions: objectWith<SessionStates>(['read', 'list', 'replace', 'update']),
  author: objectWith<{ readonly name: string; readonly email: string }>(['name', 'email'], {
    name: 'Holdfast',
    email: 'holdfast@localhost',
  }),
  gitTimeoutMs: duration(120_000),
  probeTimeoutMs: duration(15_000),
  staleLockMs: duration(60_000),
  maxPushAttempts: integer({ min: 1, max: 100, default: 10 }),
  maxRounds: integer({ min: 0, max: 10_000, default: 20 }),
  roundDelayMs: duration(2_000),
  maxRoundDelayMs: duration(300_000),
  credentialWaitMs: integer({ min: 1, max: 30 * DAY_MS, default: DAY_MS }),
  failureThreshold: integer({ min: 1, max: 1_000, default: 5 }),
  openDurationMs: duration(30_000),
  stageTimeoutMs: duration(600_000),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError */
export function parsePipelineOptions(given: PipelineOptions): ResolvedPipelineOptions {
  return parseOptions('createPublishPipeline', schema, given);
}
