import type { LookupFunction } from 'node:net';
import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { type IoredisClient, type RequiredOptions, requiredOptions } from '../connector.ts';
import { connectorOption } from '../lookup-connector.ts';
import type { NatMap, ResolvedAddress, ResolvedLogin } from '../server-options.ts';
import {
  addressText,
  loginOptions,
  majorityAnswer,
  parseAddress,
  runOnce,
  translate,
} from './one-off-command.ts';
import type { ServerResolverOptions, ServerResolver } from './server-resolver.ts';

interface ClusterResolverOptions extends ServerResolverOptions {
  readonly login: ResolvedLogin;
  readonly natMap: NatMap;
  readonly lookup?: LookupFunction | undefined;
  /** The nodes known so far, those to ask first in front; shared by all resolvers of one cluster. */
  readonly known: ResolvedAddress[];
}

/** The number of nodes that are asked; more would not give a better answer. */
const MAX_ASKED = 7;
const MAX_KNOWN = 100;

/**
 * Finds the node that serves a slot, by the majority of the nodes asked; without a slot, any node that serves one.
 * When a slot moves (`MOVED`), the connection is closed and the next one goes to its new node.
 */
export class ClusterResolver implements ServerResolver {
  readonly #options: ClusterResolverOptions;
  readonly #slot: number | undefined;

  constructor(options: ClusterResolverOptions, slot: number | undefined) {
    this.#options = options;
    this.#slot = slot;
  }

  async createClient(required: RequiredOptions): Promise<IoredisClient> {
    const { known, login, lookup } = this.#options;
    const named = await majorityAnswer(known.slice(0, MAX_ASKED).map((node) => this.#ask(node)));
    const via = connectorOption(lookup);
    return new Redis({ ...parseAddress(named), ...loginOptions(login), ...via, ...required });
  }

  verify(): Promise<void> {
    return Promise.resolve();
  }

  /** The cluster stops a node that it has replaced, and a node redirects requests for a slot that has moved. */
  isCurrent(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async #ask(node: ResolvedAddress): Promise<string | undefined> {
    const { clock, login, natMap, lookup, connectTimeoutMs } = this.#options;
    const options = {
      ...requiredOptions(connectTimeoutMs),
      ...connectorOption(lookup),
      ...node,
      ...loginOptions(login),
    };
    const limits = { clock, limitMs: connectTimeoutMs };
    try {
      const reply = await runOnce(options, ['CLUSTER', 'SLOTS'], limits);
      const ranges = parseSlotRanges(reply, node, natMap);
      for (const { nodes } of ranges) for (const found of nodes) this.#addKnown(found);
      const slot = this.#slot;
      if (slot === undefined) return addressText(node);
      const range = ranges.find(({ from, to }) => from <= slot && slot <= to);
      const [primary] = range?.nodes ?? [];
      if (range !== undefined && primary === undefined) throw withoutAddress(slot);
      return primary && addressText(primary);
    } catch (error) {
      this.#moveToEnd(node);
      throw error;
    }
  }

  #addKnown(found: ResolvedAddress): void {
    const { known } = this.#options;
    if (known.length < MAX_KNOWN && !known.some((node) => isSame(node, found))) known.push(found);
  }

  /** A node that did not answer is asked last the next time. */
  #moveToEnd(silent: ResolvedAddress): void {
    const { known } = this.#options;
    const at = known.findIndex((node) => isSame(node, silent));
    if (at !== -1) known.push(...known.splice(at, 1));
  }
}

function isSame(one: ResolvedAddress, other: ResolvedAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

interface SlotRange {
  readonly from: number;
  readonly to: number;
  /** The primary first. */
  readonly nodes: readonly ResolvedAddress[];
}

/**
 * Parses the reply of CLUSTER SLOTS. A node that does not know its own address means the one it was asked at. A node
 * whose preferred address is a hostname that it does not know is told by its IP address.
 */
function parseSlotRanges(reply: unknown, asked: ResolvedAddress, natMap: NatMap): SlotRange[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((range: unknown) => {
    if (!Array.isArray(range)) return [];
    const [from, to, ...all]: unknown[] = range;
    const [primary, ...replicas] = all.map((at) => parseNode(at, asked));
    // Without the address of its primary, nobody serves the range; the replicas must not take its place.
    const known = primary === undefined ? [] : [primary, ...replicas];
    const nodes = known.flatMap((node) => (node === undefined ? [] : [translate(natMap, node)]));
    return [{ from: Number(from), to: Number(to), nodes }];
  });
}

function parseNode(node: unknown, asked: ResolvedAddress): ResolvedAddress | undefined {
  if (!Array.isArray(node)) return undefined;
  const [host, port, , metadata]: unknown[] = node;
  if (typeof host === 'string' && host !== '' && host !== '?') {
    return { host, port: Number(port) };
  }
  const fields: unknown[] = Array.isArray(metadata) ? metadata : [];
  const at = fields.indexOf('ip');
  const ip = at === -1 ? undefined : fields[at + 1];
  if (typeof ip === 'string' && ip !== '') return { host: ip, port: Number(port) };
  return host === '?' ? undefined : { host: asked.host, port: Number(port) };
}

function withoutAddress(slot: number): BackendError {
  return new BackendError(
    'denied',
    `Redis: the cluster gives no address for the node that serves slot ${slot} (its hostname is "?"); set ` +
      'cluster-announce-hostname there, or cluster-preferred-endpoint-type to ip',
  );
}
