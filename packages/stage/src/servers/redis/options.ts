import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  parseOptions,
} from '@holdfast/foundation';
import { settingsRule } from '../settings-rule.ts';
import { type RedisSettings, STAGE_DIRECTIVES } from './node.ts';

/** A standalone Redis. */
export interface RedisStageOptions {
  /** One server. Default `standalone`. */
  topology?: 'standalone';
  /**
   * Directives of redis.conf by name, such as `{ appendonly: 'yes', appendfsync: 'everysec' }`; the value is
   * the rest of the line. Default: no persistence (`save ""`, `appendonly no`). The stage sets the endpoint
   * and the data folder.
   */
  settings?: Readonly<Record<string, string>>;
}

/** A primary, two replicas, three Sentinels. */
export interface RedisSentinelOptions {
  /** A primary, replicas and the Sentinels that watch it. */
  topology: 'sentinel';
  /** Directives of primary and replicas, as for a standalone server, without those of the topology. */
  settings?: Readonly<Record<string, string>>;
  /** After how long a Sentinel takes a silent primary for down, from 100. Default 500. */
  downAfterMs?: number;
}

/** Three primaries and a replica of each. */
export interface RedisClusterOptions {
  /** A Cluster. */
  topology: 'cluster';
  /** Directives of every node, as for a standalone server, without those of the topology. */
  settings?: Readonly<Record<string, string>>;
  /** After how long the others take a silent node for down, from 100. Default 1 000. */
  nodeTimeoutMs?: number;
}

/** The checked options of each topology. */
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

const MAX_TIMEOUT_MS = 3_600_000;
/** With a shorter timeout, members are taken for down whenever the machine is busy. */
const MIN_TIMEOUT_MS = 100;

const isStageDirective = (directive: string): boolean => STAGE_DIRECTIVES.includes(directive);
/** The directives by which members find, authenticate and address each other. */
const isTopologyDirective = (directive: string): boolean =>
  isStageDirective(directive) ||
  /^(?:requirepass|masterauth|masteruser|user|aclfile|replicaof|slaveof)$/.test(directive) ||
  /^(?:cluster|tls|replica-announce|slave-announce)-/.test(directive);

const directives = { entry: 'redis.conf directive', pattern: /^[a-z][a-z0-9-]*$/ };
const standaloneSettings = settingsRule({
  ...directives,
  isReserved: isStageDirective,
  reserved: STAGE_DIRECTIVES.join(', '),
});
const topologySettings = settingsRule({
  ...directives,
  isReserved: isTopologyDirective,
  reserved: `${STAGE_DIRECTIVES.join(', ')}, and those of passwords, replication, cluster and TLS`,
});
const topologyRule = oneOf(['standalone', 'sentinel', 'cluster'], 'standalone');
const timeout = (defaultMs: number): OptionRule<number> =>
  integer({ min: MIN_TIMEOUT_MS, max: MAX_TIMEOUT_MS, default: defaultMs });

const shapes = {
  standalone: { topology: topologyRule, settings: standaloneSettings },
  sentinel: { topology: topologyRule, settings: topologySettings, downAfterMs: timeout(500) },
  cluster: { topology: topologyRule, settings: topologySettings, nodeTimeoutMs: timeout(1_000) },
};

/** `true` or the name of a topology: its defaults. */
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
