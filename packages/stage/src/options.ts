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
import { STAGE_MODES } from './runtime/choose-mode.ts';
import { type ResolvedPostgresOptions, postgresRule } from './servers/postgres/options.ts';
import {
  type ResolvedEmulatedOptions,
  emulatedServerRules,
} from './servers/emulated/emulated-servers.ts';
import { type ResolvedRedisOptions, redisRule } from './servers/redis/options.ts';
import type { StageMode, StageOptions } from './stage.ts';

const LONGEST_MS = 3_600_000;

function milliseconds(fallback: number): OptionRule<number> {
  return integer({ min: 1, max: LONGEST_MS, default: fallback });
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
