import { Redis } from 'ioredis';
import {
  addressOf,
  addressText,
  majorityAnswer,
  runOnce,
  loginOptions,
} from './one-off-command.ts';
import { type RequiredOptions, requiredOptions } from '../connection/connector.ts';
import type { ServerResolver, ResolverOptions } from './server-resolver.ts';
import type { ResolvedAddress, ResolvedLogin } from '../server-options.ts';

export interface ClusterResolverOptions extends ResolverOptions {
  readonly login: ResolvedLogin;
  /** The nodes known so far, those asked last in front; shared by the routes of one cluster. */
  readonly known: ResolvedAddress[];
}

/** More of them would not know better. */
const MAX_ASKED = 7;
const MAX_KNOWN = 100;

/**
 * The way to the node that serves a slot, as most of the nodes asked say; without a slot, to any node that
 * serves some. A slot that moves on (`MOVED`) costs the link, and the next one is made to its new node.
 */
export class ClusterResolver implements ServerResolver {
  readonly #options: ClusterResolverOptions;
  readonly #slot: number | undefined;

  constructor(options: ClusterResolverOptions, slot: number | undefined) {
    this.#options = options;
    this.#slot = slot;
  }

  async client(required: RequiredOptions): Promise<Redis> {
    const { known, login } = this.#options;
    const said = await majorityAnswer(known.slice(0, MAX_ASKED).map((node) => this.#ask(node)));
    return new Redis({ ...addressOf(said), ...loginOptions(login), ...required });
  }

  verify(): Promise<void> {
    return Promise.resolve();
  }

  /** The cluster itself stops a node that it has replaced, and sends away who asks for a slot that moved. */
  isCurrent(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async #ask(node: ResolvedAddress): Promise<string | undefined> {
    const { clock, login, connectTimeoutMs } = this.#options;
    const options = { ...requiredOptions(connectTimeoutMs), ...node, ...loginOptions(login) };
    const limits = { clock, limitMs: connectTimeoutMs };
    try {
      const shares = readShares(await runOnce(options, ['CLUSTER', 'SLOTS'], limits), node);
      for (const { nodes } of shares) for (const found of nodes) this.#meet(found);
      const slot = this.#slot;
      if (slot === undefined) return addressText(node);
      const share = shares.find(({ from, to }) => from <= slot && slot <= to);
      return share?.nodes[0] && addressText(share.nodes[0]);
    } catch (error) {
      this.#avoid(node);
      throw error;
    }
  }

  #meet(found: ResolvedAddress): void {
    const { known } = this.#options;
    if (known.length < MAX_KNOWN && !known.some((node) => isSame(node, found))) known.push(found);
  }

  /** It is asked last the next time. */
  #avoid(silent: ResolvedAddress): void {
    const { known } = this.#options;
    const at = known.findIndex((node) => isSame(node, silent));
    if (at !== -1) known.push(...known.splice(at, 1));
  }
}

function isSame(one: ResolvedAddress, other: ResolvedAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

interface Share {
  readonly from: number;
  readonly to: number;
  /** The primary first. */
  readonly nodes: readonly ResolvedAddress[];
}

/** The reply of CLUSTER SLOTS; a node that does not know its own address means the one it was asked at. */
function readShares(reply: unknown, asked: ResolvedAddress): Share[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((range: unknown) => {
    if (!Array.isArray(range)) return [];
    const [from, to, ...nodes]: unknown[] = range;
    return [
      { from: Number(from), to: Number(to), nodes: nodes.flatMap((at) => readNode(at, asked)) },
    ];
  });
}

function readNode(described: unknown, asked: ResolvedAddress): ResolvedAddress[] {
  if (!Array.isArray(described)) return [];
  const [host, port]: unknown[] = described;
  const isNamed = typeof host === 'string' && host !== '';
  return [{ host: isNamed ? host : asked.host, port: Number(port) }];
}
