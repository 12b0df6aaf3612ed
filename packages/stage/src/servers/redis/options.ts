import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  parseOptions,
} from '@holdfast/foundation';
import { type RedisSettings, STAGE_DIRECTIVES } from './node.ts';

/** What stands as `stage.redis`, with the bounds of each form. */
export type ResolvedRedisOptions =
  | { readonly topology: 'standalone'; readonly settings: RedisSettings }
  | {
      readonly topology: 'sentinel';
      readonly settings: RedisSettings;
      readonly downAfterMs: number;
    }
  | {
      readonly topology: 'cluster';
      readonly settings: RedisSettings;
      readonly nodeTimeoutMs: number;
    };

const LONGEST_TIMEOUT_MS = 3_600_000;
/** A member that is given less is held to be down whenever the machine is busy. */
const SHORTEST_TIMEOUT_MS = 100;

/** Directives by name, without those that are the stage's own affair. */
function settingsRule(
  isTaken: (directive: string) => boolean,
  taken: string,
): OptionRule<RedisSettings> {
  return {
    permitted: `an object from redis.conf directives (not ${taken}) to one-line strings`,
    parse(value, field, owner) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new InvalidOptionError(owner, field, value, this.permitted);
      }
      const settings: Record<string, string> = {};
      for (const [directive, setting] of Object.entries(value)) {
        const path = `${field}.${directive}`;
        if (!/^[a-z][a-z0-9-]*$/.test(directive) || isTaken(directive)) {
          const permitted = `a redis.conf directive other than ${taken}`;
          throw new InvalidOptionError(owner, path, setting, permitted);
        }
        if (typeof setting !== 'string' || /[\r\n]/.test(setting)) {
          throw new InvalidOptionError(owner, path, setting, 'a string of one line');
        }
        settings[directive] = setting;
      }
      return settings;
    },
    defaultValue: () => ({}),
  };
}

const isStageDirective = (directive: string): boolean => STAGE_DIRECTIVES.includes(directive);
/** How members find, trust and address each other is wired by the stage. */
const isWiring = (directive: string): boolean =>
  isStageDirective(directive) ||
  /^(?:requirepass|masterauth|masteruser|user|aclfile|replicaof|slaveof)$/.test(directive) ||
  /^(?:cluster|tls|replica-announce|slave-announce)-/.test(directive);

const topologySettings = settingsRule(
  isWiring,
  `${STAGE_DIRECTIVES.join(', ')}, and those of passwords, replication, cluster and TLS`,
);
const topologyRule = oneOf(['standalone', 'sentinel', 'cluster'], 'standalone');
const silence = (fallback: number): OptionRule<number> =>
  integer({ min: SHORTEST_TIMEOUT_MS, max: LONGEST_TIMEOUT_MS, default: fallback });

const shapes = {
  standalone: {
    topology: topologyRule,
    settings: settingsRule(isStageDirective, STAGE_DIRECTIVES.join(', ')),
  },
  sentinel: { topology: topologyRule, settings: topologySettings, downAfterMs: silence(500) },
  cluster: { topology: topologyRule, settings: topologySettings, nodeTimeoutMs: silence(1_000) },
};

/** `true` and the name of a topology stand for it with its defaults. */
export const redisRule: OptionRule<ResolvedRedisOptions> = {
  permitted: `true, 'sentinel', 'cluster', or an object`,
  parse(value, field, owner) {
    if (value === true) return this.parse({}, field, owner);
    if (value === 'sentinel' || value === 'cluster') {
      return this.parse({ topology: value }, field, owner);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const given = 'topology' in value ? value.topology : undefined;
    const topology =
      given === undefined ? 'standalone' : topologyRule.parse(given, `${field}.topology`, owner);
    if (topology === 'sentinel') {
      return { ...parseOptions(owner, shapes.sentinel, value, field), topology };
    }
    if (topology === 'cluster') {
      return { ...parseOptions(owner, shapes.cluster, value, field), topology };
    }
    return { ...parseOptions(owner, shapes.standalone, value, field), topology };
  },
};
