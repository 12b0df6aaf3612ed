import { createHash } from 'node:crypto';
import { type Clock, withDeadline } from '@holdfast/foundation';
import { ServerTimeoutError } from '../../errors.ts';
import type { ServerHandle } from '../../handle/handle.ts';
import { imageOf } from '../../images.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment } from '../../system/executable.ts';
import type { AdvertisedEndpoint, ServerSpec } from '../../topology/server-spec.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import { type ServerTopology, composeServices } from '../../topology/topology.ts';
import {
  ANSWER_TIMEOUT_MS,
  askAll,
  askIfUp,
  fieldsOf,
  infoField,
  majorityOf,
  valueOf,
  waitUntil,
  waitUntilLinked,
} from './admin.ts';
import { type RedisSettings, redisNode } from './node.ts';
import { locateRedis } from './program.ts';

/** A Redis with two replicas, monitored by three Sentinels. */
export interface RedisSentinel {
  /** The server that was the primary at the opening. */
  readonly primary: ServerHandle;
  readonly replicas: readonly ServerHandle[];
  readonly sentinels: readonly ServerHandle[];
  /** The endpoints for clients, together with the name. */
  readonly sentinelAddresses: readonly Endpoint[];
  readonly masterName: string;
  /**
   * The primary according to most of the running Sentinels, whether it runs or not.
   * @throws ServerTimeoutError when no Sentinel answers within a second.
   */
  currentPrimary(options?: { signal?: AbortSignal }): Promise<ServerHandle>;
  /**
   * Resolves with the primary once every running Sentinel names the same server, not `former`, and that server
   * reports the role itself.
   * @throws ServerTimeoutError after `readyTimeoutMs`.
   */
  primaryAfter(former: ServerHandle, options?: { signal?: AbortSignal }): Promise<ServerHandle>;
}

const MASTER_NAME = 'holdfast';
const SERVICES = [
  'redis-primary',
  'redis-replica-1',
  'redis-replica-2',
  'sentinel-1',
  'sentinel-2',
  'sentinel-3',
];
/** That of docker-compose.test.yml, and the default of the option. */
const COMPOSE_DOWN_AFTER_MS = 500;
const REPLICAS = 2;
const SENTINELS = 3;
const QUORUM = 2;
/** How long a stuck failover blocks the next one; Sentinel waits twice as long. */
const FAILOVER_TIMEOUT_MS = 2_000;
/** Sentinel's default interval between two attempts to connect, and the one during the opening. */
const PING_PERIOD_MS = 1_000;
const OPENING_PING_PERIOD_MS = 20;

interface SentinelOptions {
  readonly settings: RedisSettings;
  readonly downAfterMs: number;
}

/** The roles of the servers once all Sentinels agree on the primary. */
interface SentinelRoles {
  readonly primary: ServerHandle;
  readonly replicas: readonly ServerHandle[];
  readonly sentinels: readonly ServerHandle[];
}

/** A primary with two replicas and three Sentinels that know each other before they start. */
export function redisSentinel(
  options: SentinelOptions,
  env: Environment,
): ServerTopology<RedisSentinel> {
  let roles: SentinelRoles | undefined;
  return {
    size: 1 + REPLICAS + SENTINELS,
    portOffsets: [],
    docker: { available: true, images: [imageOf('redis', env)] },
    compose: composeServices(
      SERVICES,
      [
        ...(Object.keys(options.settings).length > 0 ? ['redis.settings'] : []),
        ...(options.downAfterMs === COMPOSE_DOWN_AFTER_MS ? [] : ['redis.downAfterMs']),
      ],
      'sentinel',
    ),
    locate: (context, signal) => locateRedis({ ...context, env }, signal),
    serverSpecs: (endpoints) => sentinelSpecs(endpoints, options, env),
    async awaitFormed(handles, { clock }, signal) {
      roles = await awaitAgreement(handles, clock, signal);
      await awaitConnections(roles, clock, signal);
    },
    toHandle(_handles, context) {
      if (roles === undefined) throw new TypeError('toHandle() was called before awaitFormed()');
      return toSentinelHandle(roles, context);
    },
  };
}

function sentinelSpecs(
  endpoints: readonly AdvertisedEndpoint[],
  options: SentinelOptions,
  env: Environment,
): ServerSpec[][] {
  const [primary, ...others] = endpoints;
  if (primary === undefined) throw new RangeError('a Sentinel topology has a primary');
  const replicas = others.slice(0, REPLICAS);
  const sentinels = others.slice(REPLICAS);
  // Replicas get their copy at once instead of after five seconds in which others might join.
  const settings = { 'repl-diskless-sync-delay': '0', ...options.settings };
  const node = (name: string, endpoint: AdvertisedEndpoint, replicaof: string[]): ServerSpec => {
    const { host, port } = endpoint.advertised;
    const lines = [`replica-announce-ip ${host}`, `replica-announce-port ${port}`, ...replicaof];
    const member = { isSentinel: false, lines, files: {} };
    return redisNode({ name, prefix: 'redis://', settings, member }, endpoint, env);
  };
  const advertised = (those: readonly AdvertisedEndpoint[]): Endpoint[] =>
    those.map((each) => each.advertised);
  const sentinel = (endpoint: AdvertisedEndpoint, index: number): ServerSpec => {
    const lines = sentinelLines({
      primary: primary.advertised,
      replicas: advertised(replicas),
      sentinels: advertised(sentinels),
      index,
      self: endpoint.advertised,
      downAfterMs: options.downAfterMs,
    });
    const member = { isSentinel: true, lines, files: {} };
    const name = `redis.sentinels[${index}]`;
    return redisNode({ name, prefix: 'redis://', settings: {}, member }, endpoint, env);
  };
  const { host, port } = primary.advertised;
  const replicaof = [`replicaof ${host} ${port}`];
  return [
    // In this order, because a server that finds a closed port tries again only a second later.
    [node('redis.primary', primary, [])],
    replicas.map((endpoint, index) => node(`redis.replicas[${index}]`, endpoint, replicaof)),
    sentinels.map(sentinel),
  ];
}

/** Waits until all Sentinels name the same primary; in compose an earlier test may have promoted another. */
async function awaitAgreement(
  handles: readonly ServerHandle[],
  clock: Clock,
  signal: AbortSignal,
): Promise<SentinelRoles> {
  const sentinels = handles.slice(1 + REPLICAS);
  const nodes = handles.slice(0, 1 + REPLICAS);
  const agreed = async (limit: AbortSignal): Promise<ServerHandle | undefined> => {
    const [first, ...rest] = await namedPrimaries(clock, sentinels, nodes, limit);
    return rest.every((other) => other === first) ? first : undefined;
  };
  const primary = await waitUntil(clock, agreed, signal);
  return { primary, replicas: nodes.filter((each) => each !== primary), sentinels };
}

/** Waits until the replicas are connected and each Sentinel has found all others. */
async function awaitConnections(
  { replicas, sentinels }: SentinelRoles,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const setPingPeriod = (pingPeriodMs: number): Promise<unknown> => {
    const command = ['SENTINEL', 'DEBUG', 'ping-period', String(pingPeriodMs)];
    return Promise.all(sentinels.map(({ direct }) => askIfUp(direct, command, signal)));
  };
  // Sentinels that started a moment too early for each other would wait for their next attempt.
  await setPingPeriod(OPENING_PING_PERIOD_MS);
  await Promise.all([
    ...replicas.map(({ direct }) => waitUntilLinked(clock, direct, signal)),
    ...sentinels.map(({ direct }) =>
      waitUntil(clock, (limit) => hasFoundAll(direct, limit), signal),
    ),
  ]);
  await setPingPeriod(PING_PERIOD_MS);
}

/** The primaries that the running Sentinels name, one from each that answers. */
async function namedPrimaries(
  clock: Clock,
  sentinels: readonly ServerHandle[],
  nodes: readonly ServerHandle[],
  signal?: AbortSignal,
): Promise<(ServerHandle | undefined)[]> {
  const command = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME];
  const replies = await askAll(clock, sentinels, command, signal);
  return replies.map((reply) => {
    const port = reply.kind === 'list' ? Number(valueOf(reply.items[1])) : Number.NaN;
    // Servers that compose has started advertise their own ports.
    return nodes.find((node) => node.port === port || node.direct.port === port);
  });
}

/** What one Sentinel knows of the topology. */
interface SentinelView {
  readonly primary: Endpoint;
  readonly replicas: readonly Endpoint[];
  readonly sentinels: readonly Endpoint[];
  /** Its index among the Sentinels, and the endpoint that it advertises. */
  readonly index: number;
  readonly self: Endpoint;
  readonly downAfterMs: number;
}

/** The configuration that a Sentinel would have written itself after some seconds. */
function sentinelLines(view: SentinelView): string[] {
  const { primary, replicas, sentinels, index, self, downAfterMs } = view;
  const others = sentinels.flatMap((at, other) => (other === index ? [] : [{ at, other }]));
  return [
    `sentinel myid ${sentinelId(index)}`,
    `sentinel announce-ip ${self.host}`,
    `sentinel announce-port ${self.port}`,
    `sentinel monitor ${MASTER_NAME} ${primary.host} ${primary.port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${downAfterMs}`,
    `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_TIMEOUT_MS}`,
    ...replicas.map(({ host, port }) => `sentinel known-replica ${MASTER_NAME} ${host} ${port}`),
    ...others.map(({ at: { host, port }, other }) =>
      ['sentinel known-sentinel', MASTER_NAME, host, port, sentinelId(other)].join(' '),
    ),
  ];
}

/** 40 hexadecimal digits, the same on every stage. */
function sentinelId(index: number): string {
  return createHash('sha1').update(`sentinel ${index}`).digest('hex');
}

/** Whether a Sentinel is connected to all servers that it knows, and so could lead a failover. */
async function hasFoundAll(sentinel: Endpoint, signal: AbortSignal): Promise<boolean> {
  const ask = (what: string): ReturnType<typeof askIfUp> =>
    askIfUp(sentinel, ['SENTINEL', what, MASTER_NAME], signal);
  const [replicas, sentinels] = await Promise.all([ask('REPLICAS'), ask('SENTINELS')]);
  const flagsOf = (reply: typeof replicas): (string | undefined)[] =>
    reply?.kind === 'list' ? reply.items.map((item) => fieldsOf(item).get('flags')) : [];
  const areAll = (flags: (string | undefined)[], flag: string, count: number): boolean =>
    flags.length === count && flags.every((each) => each === flag);
  return (
    areAll(flagsOf(replicas), 'slave', REPLICAS) &&
    areAll(flagsOf(sentinels), 'sentinel', SENTINELS - 1)
  );
}

function toSentinelHandle(
  { primary, replicas, sentinels }: SentinelRoles,
  { clock, readyTimeoutMs }: StageContext,
): RedisSentinel {
  const named = (signal?: AbortSignal): Promise<(ServerHandle | undefined)[]> =>
    namedPrimaries(clock, sentinels, [primary, ...replicas], signal);
  return {
    primary,
    replicas,
    sentinels,
    sentinelAddresses: sentinels.map(({ host, port }) => ({ host, port })),
    masterName: MASTER_NAME,
    async currentPrimary({ signal } = {}) {
      const votes = await named(signal);
      const current = majorityOf(votes.filter((server) => server !== undefined));
      if (current !== undefined) return current;
      const failure = 'had no Sentinel that named a primary';
      throw new ServerTimeoutError('redis', ANSWER_TIMEOUT_MS, failure);
    },
    async primaryAfter(former, { signal } = {}) {
      const failure = `had no other primary than ${former.name}`;
      const late = (): Error => new ServerTimeoutError('redis', readyTimeoutMs, failure);
      return withDeadline(clock, readyTimeoutMs, signal, late, async (limit) => {
        const promoted = async (): Promise<ServerHandle | undefined> => {
          const [first, ...rest] = await named(limit);
          if (first === undefined || first === former) return undefined;
          if (rest.some((server) => server !== first)) return undefined;
          const reply = await askIfUp(first.direct, ['INFO', 'replication'], limit);
          return infoField(valueOf(reply), 'role') === 'master' ? first : undefined;
        };
        return waitUntil(clock, promoted, limit);
      });
    },
  };
}
