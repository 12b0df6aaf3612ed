import { createHash } from 'node:crypto';
import { type Clock, withDeadline } from '@holdfast/foundation';
import { type ServerTopology, composeServices } from '../../topology/topology.ts';
import { ServerTimeoutError } from '../../errors.ts';
import { imageOf } from '../../images.ts';
import type {
  Address,
  Environment,
  ServerAddress,
  StageContext,
} from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import { type RedisSettings, redisNode } from './node.ts';
import { locateRedis } from './program.ts';
import {
  ANSWER_TIMEOUT_MS,
  askIfUp,
  askAll,
  fieldsOf,
  infoField,
  waitUntil,
  valueOf,
} from './admin.ts';

/** A Redis with two replicas, watched by three Sentinels. */
export interface RedisSentinel {
  /** The server that was the primary at first. */
  readonly primary: ServerHandle;
  readonly replicas: readonly ServerHandle[];
  readonly sentinels: readonly ServerHandle[];
  /** What clients are given, together with the name. */
  readonly sentinelAddresses: readonly Address[];
  readonly masterName: string;
  /**
   * The server that most of the running Sentinels name as the primary, be it alive or not.
   * @throws ServerTimeoutError when no Sentinel answers within a second.
   */
  currentPrimary(options?: { signal?: AbortSignal }): Promise<ServerHandle>;
  /**
   * Resolves with the primary once every running Sentinel names the same server, another than `former`,
   * and it says itself that it is one.
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
/** That of docker-compose.test.yml, which is this option's default as well. */
const COMPOSED_DOWN_AFTER_MS = 500;
const REPLICAS = 2;
const SENTINELS = 3;
const QUORUM = 2;
/** How long a failover that got stuck blocks the next one; Sentinel waits for twice as long. */
const FAILOVER_TIMEOUT_MS = 2_000;
/** Sentinel's own pause between two attempts to connect, and the one while the stage opens. */
const PING_PERIOD_MS = 1_000;
const OPENING_PING_PERIOD_MS = 20;

/** A primary with two replicas and three Sentinels that know of each other before they start. */
export function redisSentinel(
  options: { readonly settings: RedisSettings; readonly downAfterMs: number },
  env: Environment,
): ServerTopology<RedisSentinel> {
  // Replicas get their copy at once instead of after five seconds in which others might join.
  const settings = { 'repl-diskless-sync-delay': '0', ...options.settings };
  let cast: SentinelRoles | undefined;
  return {
    size: 1 + REPLICAS + SENTINELS,
    portOffsets: [],
    docker: { available: true, images: [imageOf('redis', env)] },
    compose: composeServices(SERVICES, [
      ...(Object.keys(options.settings).length > 0 ? ['redis.settings'] : []),
      ...(options.downAfterMs === COMPOSED_DOWN_AFTER_MS ? [] : ['redis.downAfterMs']),
    ]),
    locate: (context, signal) => locateRedis({ ...context, env }, signal),
    serverSpecs(places) {
      const [primary, ...others] = places;
      if (primary === undefined) throw new RangeError('a Sentinel topology has a primary');
      const replicas = others.slice(0, REPLICAS);
      const sentinels = others.slice(REPLICAS);
      const node = (
        name: string,
        at: ServerAddress,
        more: readonly string[],
      ): ReturnType<typeof redisNode> => {
        const { host, port } = at.advertised;
        const lines = [`replica-announce-ip ${host}`, `replica-announce-port ${port}`, ...more];
        const member = { isSentinel: false, lines, files: {} };
        return redisNode({ name, prefix: 'redis://', settings, member }, at, env);
      };
      const watcher = (at: ServerAddress, place: number): ReturnType<typeof redisNode> => {
        const announced = (those: readonly ServerAddress[]): Address[] =>
          those.map((each) => each.advertised);
        const lines = sentinelLines({
          primary: primary.advertised,
          replicas: announced(replicas),
          sentinels: announced(sentinels),
          self: at.advertised,
          place,
          ...options,
        });
        const member = { isSentinel: true, lines, files: {} };
        const name = `redis.sentinels[${place}]`;
        return redisNode({ name, prefix: 'redis://', settings: {}, member }, at, env);
      };
      const follow = `replicaof ${primary.advertised.host} ${primary.advertised.port}`;
      return [
        // In this order, because who meets a closed port comes back a second later only.
        [node('redis.primary', primary, [])],
        replicas.map((at, place) => node(`redis.replicas[${place}]`, at, [follow])),
        sentinels.map(watcher),
      ];
    },
    async awaitFormed(handles, { clock }, signal) {
      const sentinels = handles.slice(1 + REPLICAS);
      const nodes = handles.slice(0, 1 + REPLICAS);
      // Of those that compose holds open an earlier test may have had another one promoted.
      await waitUntil(
        clock,
        async (limit) => {
          const [primary, ...rest] = await namedPrimaries(clock, sentinels, nodes, limit);
          if (primary === undefined || rest.some((other) => other !== primary)) return false;
          cast = { primary, replicas: nodes.filter((each) => each !== primary), sentinels };
          return true;
        },
        signal,
      );
      const replicas = cast?.replicas ?? [];
      const tellAll = (pingPeriodMs: number): Promise<unknown> => {
        const words = ['SENTINEL', 'DEBUG', 'ping-period', String(pingPeriodMs)];
        return Promise.all(sentinels.map(({ direct }) => askIfUp(direct, words, signal)));
      };
      // Sentinels that started a moment too early for each other would wait for their next attempt.
      await tellAll(OPENING_PING_PERIOD_MS);
      await Promise.all([
        ...replicas.map(({ direct }) =>
          waitUntil(clock, (limit) => isLinked(direct, limit), signal),
        ),
        ...sentinels.map(({ direct }) =>
          waitUntil(clock, (limit) => hasFoundAll(direct, limit), signal),
        ),
      ]);
      await tellAll(PING_PERIOD_MS);
    },
    toHandle(_handles, context) {
      if (cast === undefined) throw new TypeError('redis was presented before it had settled');
      return toSentinelHandle(cast, context);
    },
  };
}

/** Who plays which part once they have come together. */
interface SentinelRoles {
  readonly primary: ServerHandle;
  readonly replicas: readonly ServerHandle[];
  readonly sentinels: readonly ServerHandle[];
}

/** Whom the running Sentinels name as the primary, one name from each that answers. */
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
    // Members that compose brought up tell each other's own addresses.
    return nodes.find((node) => node.port === port || node.direct.port === port);
  });
}

interface SentinelView {
  readonly primary: Address;
  readonly replicas: readonly Address[];
  readonly sentinels: readonly Address[];
  /** Which of the Sentinels it is, and where the others find it. */
  readonly place: number;
  readonly self: Address;
  readonly downAfterMs: number;
}

/** What a Sentinel would have found out by itself within some seconds, as its file remembers it. */
function sentinelLines(watched: SentinelView): string[] {
  const { primary, replicas, sentinels, place, self, downAfterMs } = watched;
  const others = sentinels.flatMap((at, other) => (other === place ? [] : [{ at, other }]));
  return [
    `sentinel myid ${sentinelId(place)}`,
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
function sentinelId(place: number): string {
  return createHash('sha1').update(`sentinel ${place}`).digest('hex');
}

async function isLinked(replica: Address, signal: AbortSignal): Promise<boolean> {
  const reply = await askIfUp(replica, ['INFO', 'replication'], signal);
  return infoField(valueOf(reply), 'master_link_status') === 'up';
}

/** Whether a Sentinel has reached all it was told of, and so could lead a failover. */
async function hasFoundAll(sentinel: Address, signal: AbortSignal): Promise<boolean> {
  const ask = (what: string): ReturnType<typeof askIfUp> =>
    askIfUp(sentinel, ['SENTINEL', what, MASTER_NAME], signal);
  const [replicas, sentinels] = await Promise.all([ask('REPLICAS'), ask('SENTINELS')]);
  const flagsOf = (reply: typeof replicas): (string | undefined)[] =>
    reply?.kind === 'list' ? reply.items.map((item) => fieldsOf(item).get('flags')) : [];
  const areAll = (flags: (string | undefined)[], kind: string, count: number): boolean =>
    flags.length === count && flags.every((each) => each === kind);
  return (
    areAll(flagsOf(replicas), 'slave', REPLICAS) &&
    areAll(flagsOf(sentinels), 'sentinel', SENTINELS - 1)
  );
}

function toSentinelHandle(
  { primary, replicas, sentinels }: SentinelRoles,
  context: StageContext,
): RedisSentinel {
  const { clock, readyTimeoutMs } = context;
  const named = (signal?: AbortSignal): Promise<(ServerHandle | undefined)[]> =>
    namedPrimaries(clock, sentinels, [primary, ...replicas], signal);

  return {
    primary,
    replicas,
    sentinels,
    sentinelAddresses: sentinels.map(({ host, port }) => ({ host, port })),
    masterName: MASTER_NAME,
    async currentPrimary({ signal } = {}) {
      const votes = new Map<ServerHandle, number>();
      for (const server of await named(signal)) {
        if (server !== undefined) votes.set(server, (votes.get(server) ?? 0) + 1);
      }
      const [most] = [...votes].toSorted(([, left], [, right]) => right - left);
      if (most !== undefined) return most[0];
      throw new ServerTimeoutError(
        'redis',
        ANSWER_TIMEOUT_MS,
        'had no Sentinel that named a primary',
      );
    },
    async primaryAfter(former, { signal } = {}) {
      const seen = `had no other primary than ${former.name}`;
      const late = (): Error => new ServerTimeoutError('redis', readyTimeoutMs, seen);
      return withDeadline(clock, readyTimeoutMs, signal, late, async (limit) => {
        let found: ServerHandle | undefined;
        await waitUntil(
          clock,
          async () => {
            const [first, ...rest] = await named(limit);
            if (first === undefined || first === former) return false;
            if (rest.some((server) => server !== first)) return false;
            found = first;
            const reply = await askIfUp(first.direct, ['INFO', 'replication'], limit);
            return infoField(valueOf(reply), 'role') === 'master';
          },
          limit,
        );
        if (found === undefined) throw late();
        return found;
      });
    },
  };
}
