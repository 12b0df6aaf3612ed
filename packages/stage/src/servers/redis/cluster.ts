import { createHash } from 'node:crypto';
import { InvalidOptionError } from '@holdfast/foundation';
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
import { askRedis } from './command.ts';
import { SLOT_COUNT, keySlot } from '@holdfast/protocols/redis';
import { ANSWER_TIMEOUT_MS, askIfUp, askAll, infoField, waitUntil, valueOf } from './admin.ts';

/**
 * A Redis Cluster of three primaries with a replica each. `start()` of a node resolves when it holds the
 * whole cluster to be up; while other slots are unserved, start it `{ until: 'listening' }`.
 */
export interface RedisCluster {
  /** The three that were primaries at first, then their replicas in the same order. */
  readonly nodes: readonly ServerHandle[];
  /** The slot of a key, its hash tag honoured. */
  keySlot(key: string): number;
  /**
   * The node that most of the running nodes hold to serve a slot, be it alive or not.
   * @throws InvalidOptionError for a slot outside 0 to 16383; ServerTimeoutError when no node answers
   * within a second.
   */
  primaryOfSlot(slot: number, options?: { signal?: AbortSignal }): Promise<ServerHandle>;
}

const PRIMARIES = 3;
/** Nodes speak to each other on a port at this distance from the one of their clients. */
const BUS_OFFSET = 10_000;
const SERVICES = [1, 2, 3, 4, 5, 6].map((node) => `cluster-${node}`);
/** That of docker-compose.test.yml, which is this option's default as well. */
const COMPOSED_NODE_TIMEOUT_MS = 1_000;
const NODES_FILE = 'nodes.conf';

/** Six nodes that know of each other, and of their slots, before they start. */
export function redisCluster(
  options: { readonly settings: RedisSettings; readonly nodeTimeoutMs: number },
  env: Environment,
): ServerTopology<RedisCluster> {
  const settings = {
    'repl-diskless-sync-delay': '0',
    ...options.settings,
    'cluster-enabled': 'yes',
    'cluster-config-file': NODES_FILE,
    'cluster-node-timeout': String(options.nodeTimeoutMs),
  };
  return {
    size: PRIMARIES * 2,
    portOffsets: [BUS_OFFSET],
    docker: { available: true, images: [imageOf('redis', env)] },
    compose: composeServices(SERVICES, [
      ...(Object.keys(options.settings).length > 0 ? ['redis.settings'] : []),
      ...(options.nodeTimeoutMs === COMPOSED_NODE_TIMEOUT_MS ? [] : ['redis.nodeTimeoutMs']),
    ]),
    locate: (context, signal) => locateRedis({ ...context, env }, signal),
    serverSpecs: (places) => [
      places.map((address, place) => {
        const files = { [NODES_FILE]: nodesFile(places, place) };
        const lines = [
          `cluster-announce-ip ${address.advertised.host}`,
          `cluster-announce-port ${address.advertised.port}`,
          `cluster-announce-bus-port ${address.port + BUS_OFFSET}`,
        ];
        const member = { isSentinel: false, lines, files, isReady };
        const name = `redis.nodes[${place}]`;
        return redisNode({ name, prefix: 'redis://', settings, member }, address, env);
      }),
    ],
    async awaitFormed(handles, { clock }, signal) {
      await Promise.all(
        handles.slice(PRIMARIES).map((replica) =>
          waitUntil(
            clock,
            async (limit) => {
              const reply = await askIfUp(replica.direct, ['INFO', 'replication'], limit);
              return infoField(valueOf(reply), 'master_link_status') === 'up';
            },
            signal,
          ),
        ),
      );
    },
    toHandle: toClusterHandle,
  };
}

/** Whether a node serves its slots: only two seconds after its start, and while the others serve theirs. */
async function isReady(node: Address, signal: AbortSignal): Promise<boolean> {
  const reply = await askRedis(node, ['CLUSTER', 'INFO'], signal);
  return infoField(valueOf(reply), 'cluster_state') === 'ok';
}

/** What a node would have learned by CLUSTER MEET, ADDSLOTS and REPLICATE, as its file remembers it. */
function nodesFile(places: readonly ServerAddress[], self: number): string {
  const lines = places.map(({ port, advertised }, place) => {
    const primary = place % PRIMARIES;
    const isPrimary = place === primary;
    const flags = `${place === self ? 'myself,' : ''}${isPrimary ? 'master' : 'slave'}`;
    const epoch = primary + 1;
    return [
      nodeId(place),
      `${advertised.host}:${advertised.port}@${port + BUS_OFFSET}`,
      flags,
      isPrimary ? '-' : nodeId(primary),
      '0 0',
      epoch,
      'connected',
      ...(isPrimary ? [slotsOf(primary)] : []),
    ].join(' ');
  });
  return [...lines, `vars currentEpoch ${PRIMARIES} lastVoteEpoch 0`, ''].join('\n');
}

/** An even share of the slots. */
function slotsOf(primary: number): string {
  const from = Math.ceil((SLOT_COUNT * primary) / PRIMARIES);
  const to = Math.ceil((SLOT_COUNT * (primary + 1)) / PRIMARIES) - 1;
  return `${from}-${to}`;
}

/** 40 hexadecimal digits, the same on every stage. */
function nodeId(place: number): string {
  return createHash('sha1').update(`node ${place}`).digest('hex');
}

function toClusterHandle(handles: readonly ServerHandle[], { clock }: StageContext): RedisCluster {
  return {
    nodes: handles,
    keySlot,
    async primaryOfSlot(slot, { signal } = {}) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT) {
        const permitted = `a whole number from 0 to ${SLOT_COUNT - 1}`;
        throw new InvalidOptionError('primaryOfSlot', 'slot', slot, permitted);
      }
      const views = await askAll(clock, handles, ['CLUSTER', 'NODES'], signal);
      const votes = new Map<number, number>();
      for (const view of views) {
        const port = ownerIn(valueOf(view) ?? '', slot);
        if (port !== undefined) votes.set(port, (votes.get(port) ?? 0) + 1);
      }
      const [most] = [...votes].toSorted(([, left], [, right]) => right - left);
      // Members that compose brought up tell each other's own addresses.
      const owner = handles.find(({ port, direct }) =>
        [port, direct.port].includes(most?.[0] ?? 0),
      );
      if (owner !== undefined) return owner;
      throw new ServerTimeoutError(
        'redis',
        ANSWER_TIMEOUT_MS,
        `had no node that named the owner of ${slot}`,
      );
    },
  };
}

/** The port of the node that serves a slot, from what CLUSTER NODES prints. */
export function ownerIn(printed: string, slot: number): number | undefined {
  for (const line of printed.split('\n')) {
    const [, address = '', , , , , , , ...ranges] = line.split(' ');
    const serves = ranges.some((range) => {
      const [from = '', to = from] = range.split('-');
      return Number(from) <= slot && slot <= Number(to);
    });
    const port = Number(/:(\d+)@/.exec(address)?.[1]);
    if (serves && !Number.isNaN(port)) return port;
  }
  return undefined;
}
