import { Redis } from 'ioredis';
import { type RequiredOptions, requiredOptions } from '../connector.ts';
import type { ResolvedAddress, ResolvedLogin } from '../server-options.ts';
import {
  addressText,
  loginOptions,
  majorityAnswer,
  parseAddress,
  runOnce,
} from './one-off-command.ts';
import type { ResolverOptions, ServerResolver } from './server-resolver.ts';

interface ClusterResolverOptions extends ResolverOptions {
  readonly login: ResolvedLogin;
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

  async createClient(required: RequiredOptions): Promise<Redis> {
    const { known, login } = this.#options;
    const named = await majorityAnswer(known.slice(0, MAX_ASKED).map((node) => this.#ask(node)));
    return new Redis({ ...parseAddress(named), ...loginOptions(login), ...required });
  }

  verify(): Promise<void> {
    return Promise.resolve();
  }

  /** The cluster stops a node that it has replaced, and a node redirects requests for a slot that has moved. */
  isCurrent(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async #ask(node: ResolvedAddress): Promise<string | undefined> {
    const { clock, login, connectTimeoutMs } = this.#options;
    const options = { ...requiredOptions(connectTimeoutMs), ...node, ...loginOptions(login) };
    const limits = { clock, limitMs: connectTimeoutMs };
    try {
      const ranges = parseSlotRanges(await runOnce(options, ['CLUSTER', 'SLOTS'], limits), node);
      for (const { nodes } of ranges) for (const found of nodes) this.#addKnown(found);
      const slot = this.#slot;
      if (slot === undefined) return addressText(node);
      const range = ranges.find(({ from, to }) => from <= slot && slot <= to);
      return range?.nodes[0] && addressText(range.nodes[0]);
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

/** Parses the reply of CLUSTER SLOTS. A node that does not know its own address means the one it was asked at. */
function parseSlotRanges(reply: unknown, asked: ResolvedAddress): SlotRange[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((range: unknown) => {
    if (!Array.isArray(range)) return [];
    const [from, to, ...nodes]: unknown[] = range;
    return [
      { from: Number(from), to: Number(to), nodes: nodes.flatMap((at) => parseNode(at, asked)) },
    ];
  });
}

function parseNode(node: unknown, asked: ResolvedAddress): ResolvedAddress[] {
  if (!Array.isArray(node)) return [];
  const [host, port]: unknown[] = node;
  const isNamed = typeof host === 'string' && host !== '';
  return [{ host: isNamed ? host : asked.host, port: Number(port) }];
}
