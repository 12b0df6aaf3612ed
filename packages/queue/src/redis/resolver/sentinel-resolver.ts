import type { LookupFunction } from 'node:net';
import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { type IoredisClient, type RequiredOptions, requiredOptions } from '../connector.ts';
import { isForbidden } from '../errors.ts';
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

interface SentinelResolverOptions extends ServerResolverOptions {
  readonly sentinels: readonly ResolvedAddress[];
  readonly name: string;
  readonly sentinelPassword: string | undefined;
  readonly login: ResolvedLogin;
  readonly natMap: NatMap;
  readonly lookup?: LookupFunction | undefined;
}

/** The role of the server; `undefined` when it does not tell this user. @throws its other errors */
async function roleOf(client: IoredisClient): Promise<string | undefined> {
  try {
    const [role] = await client.role();
    return String(role);
  } catch (error) {
    if (!isForbidden(error)) throw error;
  }
  const info = await client.call('INFO', 'replication').catch((error: unknown) => {
    if (!isForbidden(error)) throw error;
  });
  return /^role:(\w+)/mu.exec(String(info))?.[1];
}

/**
 * Finds the primary that the majority of the Sentinels names. Asks all of them at once, so that a Sentinel that is
 * silent, or partitioned together with an old primary, neither delays nor decides the answer.
 */
export class SentinelResolver implements ServerResolver {
  readonly #options: SentinelResolverOptions;
  #asked: { readonly atMs: number; readonly answer: Promise<string> } | undefined;

  constructor(options: SentinelResolverOptions) {
    this.#options = options;
  }

  async createClient(required: RequiredOptions): Promise<IoredisClient> {
    const { host, port } = parseAddress(await this.#ask());
    const { login, lookup } = this.#options;
    const via = connectorOption(lookup);
    return new Redis({ host, port, ...loginOptions(login), ...via, ...required });
  }

  /** The Sentinels may name a server that has been demoted, or is not promoted yet. */
  async verify(client: IoredisClient): Promise<void> {
    const role = await roleOf(client);
    // Nobody tells: a replica then rejects the first write, which ends the connection as well.
    if (role === undefined) return;
    if (role === 'master') return;
    const { host, port } = client.options;
    throw new BackendError('unreachable', `Redis: ${host}:${port} is a ${role}, not the primary`);
  }

  async isCurrent(client: IoredisClient): Promise<boolean> {
    const { host = '', port = 0 } = client.options;
    const named = await this.#queryThrottled().catch(() => undefined);
    return named === undefined || named === addressText({ host, port });
  }

  /** At most once per ping interval for all connections together. */
  #queryThrottled(): Promise<string> {
    const { clock, pingIntervalMs } = this.#options;
    const isFresh = this.#asked !== undefined && clock.now() - this.#asked.atMs < pingIntervalMs;
    if (this.#asked === undefined || !isFresh) {
      this.#asked = { atMs: clock.now(), answer: this.#ask() };
    }
    return this.#asked.answer;
  }

  #ask(): Promise<string> {
    const { sentinels, name, sentinelPassword, login, natMap, clock, connectTimeoutMs } =
      this.#options;
    return majorityAnswer(
      sentinels.map(async ({ host, port }) => {
        const options = {
          ...requiredOptions(connectTimeoutMs),
          ...connectorOption(this.#options.lookup),
          host,
          port,
          ...(login.tls && { tls: {} }),
          ...(sentinelPassword !== undefined && { password: sentinelPassword }),
        };
        const limits = { clock, limitMs: connectTimeoutMs };
        const command = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name] as const;
        const reply = await runOnce(options, command, limits);
        if (!Array.isArray(reply)) return undefined;
        const [named, at] = reply.map(String);
        return addressText(translate(natMap, { host: named ?? '', port: Number(at) }));
      }),
    );
  }
}
