import {
  type Clock,
  type OptionRule,
  type OptionsSchema,
  boolean,
  objectWith,
  integer,
  oneOf,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { STAGE_MODES, type StageMode } from './mode-name.ts';
import {
  type EmulatedServerOptions,
  type ResolvedEmulatedOptions,
  emulatedServerRules,
} from './servers/emulated-options.ts';
import {
  type PostgresStageOptions,
  type ResolvedPostgresOptions,
  postgresRule,
} from './servers/postgres/options.ts';
import {
  type RedisClusterOptions,
  type RedisSentinelOptions,
  type RedisStageOptions,
  type ResolvedRedisOptions,
  redisRule,
} from './servers/redis/options.ts';

/** The servers of a stage and how they are run; a server that is not named is not started. */
export interface StageOptions extends EmulatedServerOptions {
  /** Default: `HOLDFAST_STAGE`, else docker when it is available, else local. */
  mode?: StageMode;
  /** A standalone Redis, or one of its topologies. */
  redis?:
    | true
    | 'sentinel'
    | 'cluster'
    | RedisStageOptions
    | RedisSentinelOptions
    | RedisClusterOptions;
  /** A Postgres; `'replica'`: with a streaming replica. */
  postgres?: true | 'replica' | PostgresStageOptions;
  /** Whether each server has a fault proxy at the address of its clients. Default true. */
  link?: boolean;
  /** How long a server may take from its start to its first answer, in milliseconds. Default 30 000. */
  readyTimeoutMs?: number;
  /**
   * How long an orderly stop may take before SIGKILL, and how long each other verb waits for its effect, in
   * milliseconds. Default 5 000.
   */
  stopTimeoutMs?: number;
  /** How long fetching a missing binary or image may take, in milliseconds. Default 120 000. */
  fetchTimeoutMs?: number;
  /**
   * Gives each server its own disk of that size, in memory, so that it can be filled. Default: the machine's.
   * Requires the right to mount.
   */
  diskMaxBytes?: number;
  /**
   * Gives each server its own wall clock, which can be moved while it runs. Default: the machine's. Mode local
   * only, on Linux with a C compiler.
   */
  serverClocks?: boolean;
  /**
   * Gives each standalone server its own network, for `disconnect()` and `impair()`. Default: the machine's.
   * For mode local, on Linux as root; a container always has one.
   */
  serverNetworks?: boolean;
  /** How much of each server's output is kept, in bytes, the newest. Default 1 048 576. */
  logMaxBytes?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** Aborts the opening; an open stage ignores it. */
  signal?: AbortSignal;
}

const MAX_TIMEOUT_MS = 3_600_000;

function milliseconds(defaultMs: number): OptionRule<number> {
  return integer({ min: 1, max: MAX_TIMEOUT_MS, default: defaultMs });
}

const shape = {
  mode: optional(oneOf(STAGE_MODES)),
  redis: optional(redisRule),
  postgres: optional(postgresRule),
  ...emulatedServerRules,
  link: boolean(true),
  readyTimeoutMs: milliseconds(30_000),
  stopTimeoutMs: milliseconds(5_000),
  fetchTimeoutMs: milliseconds(120_000),
  diskMaxBytes: optional(integer({ min: 1_048_576, max: 1_099_511_627_776 })),
  serverClocks: boolean(false),
  serverNetworks: boolean(false),
  logMaxBytes: integer({ min: 1_024, max: 1_073_741_824, default: 1_048_576 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])),
} satisfies OptionsSchema<StageOptions>;

/** The options of a stage, checked and with their defaults. */
export interface ResolvedStageOptions extends ResolvedEmulatedOptions {
  readonly mode: StageMode | undefined;
  readonly redis: ResolvedRedisOptions | undefined;
  readonly postgres: ResolvedPostgresOptions | undefined;
  readonly link: boolean;
  readonly readyTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly fetchTimeoutMs: number;
  readonly diskMaxBytes: number | undefined;
  readonly serverClocks: boolean;
  readonly serverNetworks: boolean;
  readonly logMaxBytes: number;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/** @throws InvalidOptionError */
export function parseStageOptions(given: StageOptions): ResolvedStageOptions {
  return parseOptions('openStage', shape, given);
}
