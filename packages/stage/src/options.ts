import {
  type Clock,
  InvalidOptionError,
  type Rule,
  type Shape,
  having,
  integer,
  nested,
  oneOf,
  optional,
  readOptions,
  systemClock,
} from '@holdfast/resilience';
import { STAGE_MODES } from './mode.ts';
import { type RedisSettings, STAGE_DIRECTIVES } from './redis/redis.ts';
import type { StageMode, StageOptions } from './stage.ts';

const LONGEST_MS = 3_600_000;

const settingsRule: Rule<RedisSettings> = {
  permitted: `an object from redis.conf directives (not ${STAGE_DIRECTIVES.join(', ')}) to one-line strings`,
  accepts(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const settings: Record<string, string> = {};
    for (const [directive, setting] of Object.entries(value)) {
      const path = `${field}.${directive}`;
      if (!/^[a-z][a-z0-9-]*$/.test(directive) || STAGE_DIRECTIVES.includes(directive)) {
        const permitted = `a redis.conf directive other than ${STAGE_DIRECTIVES.join(', ')}`;
        throw new InvalidOptionError(owner, path, setting, permitted);
      }
      if (typeof setting !== 'string' || /[\r\n]/.test(setting)) {
        throw new InvalidOptionError(owner, path, setting, 'a string of one line');
      }
      settings[directive] = setting;
    }
    return settings;
  },
  absent: () => ({}),
};

/** `true` stands for the server with its defaults. */
function server<T>(inner: Rule<T>): Rule<T> {
  return {
    permitted: `true or ${inner.permitted}`,
    accepts: (value, field, owner) => inner.accepts(value === true ? {} : value, field, owner),
  };
}

function milliseconds(fallback: number): Rule<number> {
  return integer({ min: 1, max: LONGEST_MS, default: fallback });
}

const shape = {
  mode: optional(oneOf(STAGE_MODES)),
  redis: optional(server(nested({ settings: settingsRule }))),
  readyTimeoutMs: milliseconds(30_000),
  stopTimeoutMs: milliseconds(5_000),
  fetchTimeoutMs: milliseconds(120_000),
  logMaxBytes: integer({ min: 1_024, max: 1_073_741_824, default: 1_048_576 }),
  clock: having<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  signal: optional(having<AbortSignal>(['aborted', 'addEventListener'])),
} satisfies Shape<StageOptions>;

/** The options of a stage, checked and with their defaults. */
export interface SettledStageOptions {
  readonly mode: StageMode | undefined;
  readonly redis: { readonly settings: RedisSettings } | undefined;
  readonly readyTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly fetchTimeoutMs: number;
  readonly logMaxBytes: number;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/** @throws InvalidOptionError */
export function readStageOptions(given: StageOptions): SettledStageOptions {
  return readOptions('openStage', shape, given);
}
