import { createHash } from 'node:crypto';
import { InvalidOptionError } from '@holdfast/foundation';
import { SLOT_COUNT, keySlot } from '@holdfast/protocols/redis';
import { ServerTimeoutError } from '../../errors.ts';
import type { ServerHandle } from '../../handle/handle.ts';
import { imageOf } from '../../images.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment } from '../../system/executable.ts';
import type { AdvertisedEndpoint } from '../../topology/server-spec.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import { type ServerTopology, composeServices } from '../../topology/topology.ts';
import {
  ANSWER_TIMEOUT_MS,
  askAll,
  infoField,
  majorityOf,
  valueOf,
  waitUntilLinked,
} from './admin.ts';
import { askRedis } from './command.ts';
import { type RedisSettings, redisNode } from './node.ts';
import { locateRedis } from './program.ts';

/**
 * A Redis Cluster of three primaries with a replica each. `start()` of a node resolves when the node reports
 * the whole cluster as up; while other slots are unserved, start it `{ until: 'listening' }`.
 */
export interface RedisCluster {
  /** The three initial primaries, then their replicas in the same order. */
  readonly nodes: readonly ServerHandle[];
  /** The slot of a key, or of its hash tag. */
  keySlot(key: string): number;
  /**
   * The node that serves a slot according to most of the running nodes, whether it runs or not.
   * @throws InvalidOptionError for a slot outside 0 to 16383; ServerTimeoutError when no node answers
   * within a second.
   */
  primaryOfSlot(slot: number, options?: { signal?: AbortSignal }): Promise<ServerHandle>;
}

const PRIMARIES = 3;
/** The offset of the port by which nodes communicate from the port of their clients. */
const BUS_OFFSET = 10_000;
const SERVICES = [1, 2, 3, 4, 5, 6].map((node) => `cluster-${node}`);
/** That of docker-compose.test.yml, and the default of the option. */
const COMPOSE_NODE_TIMEOUT_MS = 1_000;
const NODES_FILE = 'nodes.conf';

/** Six nodes that know each other and their slots before they start. */
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
    compose: composeServices(
      SERVICES,
      [
        ...(Object.keys(options.settings).length > 0 ? ['redis.settings'] : []),
        ...(options.nodeTimeoutMs === COMPOSE_NODE_TIMEOUT_MS ? [] : ['redis.nodeTimeoutMs']),
      ],
      'cluster',
    ),
    locate: (context, signal) => locateRedis({ ...context, env }, signal),
    serverSpecs: (endpoints) => [
      endpoints.map((endpoint, index) => {
        const files = { [NODES_FILE]: nodesFile(endpoints, index) };
        const lines = [
          `cluster-announce-ip ${endpoint.advertised.host}`,
          `cluster-announce-port ${endpoint.advertised.port}`,
          `cluster-announce-bus-port ${endpoint.port + BUS_OFFSET}`,
        ];
        const member = { isSentinel: false, lines, files, isReady };
        const name = `redis.nodes[${index}]`;
        return redisNode({ name, prefix: 'redis://', settings, member }, endpoint, env);
      }),
    ],
    async awaitFormed(handles, { clock }, signal) {
      const replicas = handles.slice(PRIMARIES);
      await Promise.all(replicas.map(({ direct }) => waitUntilLinked(clock, direct, signal)));
    },
    toHandle: toClusterHandle,
  };
}

/** Whether a node serves its slots: from two seconds after its start, and while the others serve theirs. */
async function isReady(node: Endpoint, signal: AbortSignal): Promise<boolean> {
  const reply = await askRedis(node, ['CLUSTER', 'INFO'], signal);
  return infoField(valueOf(reply), 'cluster_state') === 'ok';
}

/** The nodes file that a node would have after CLUSTER MEET, ADDSLOT_COUNT and REPLICATE. */
function nodesFile(endpoints: readonly AdvertisedEndpoint[], self: number): string {
  const lines = endpoints.map(({ port, advertised }, index) => {
    const primary = index % PRIMARIES;
    const isPrimary = index === primary;
    const flags = `${index === self ? 'myself,' : ''}${isPrimary ? 'master' : 'slave'}`;
    const epoch = primary + 1;
    return [
      nodeId(index),
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
function nodeId(index: number): string {
  return createHash('sha1').update(`node ${index}`).digest('hex');
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
      const owner = majorityOf(views.flatMap((view) => ownerIn(valueOf(view) ?? '', slot) ?? []));
      // Nodes that compose has started advertise their own ports.
      const node = handles.find(({ port, direct }) => [port, direct.port].includes(owner ?? 0));
      if (node !== undefined) return node;
      const failure = `had no node that named the owner of ${slot}`;
      throw new ServerTimeoutError('redis', ANSWER_TIMEOUT_MS, failure);
    },
  };
}

/** The port of the node that serves a slot, from the output of CLUSTER NODES. */
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
