import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
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

interface SentinelResolverOptions extends ResolverOptions {
  readonly sentinels: readonly ResolvedAddress[];
  readonly name: string;
  readonly sentinelPassword: string | undefined;
  readonly login: ResolvedLogin;
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

  async createClient(required: RequiredOptions): Promise<Redis> {
    const { host, port } = parseAddress(await this.#ask());
    return new Redis({ host, port, ...loginOptions(this.#options.login), ...required });
  }

  /** The Sentinels may name a server that has been demoted, or is not promoted yet. */
  async verify(client: Redis): Promise<void> {
    const [role] = await client.role();
    if (role === 'master') return;
    const { host, port } = client.options;
    throw new BackendError(
      'unreachable',
      `Redis: ${host}:${port} is a ${String(role)}, not the primary`,
    );
  }

  async isCurrent(client: Redis): Promise<boolean> {
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
    const { sentinels, name, sentinelPassword, login, clock, connectTimeoutMs } = this.#options;
    return majorityAnswer(
      sentinels.map(async ({ host, port }) => {
        const options = {
          ...requiredOptions(connectTimeoutMs),
          host,
          port,
          ...(login.tls && { tls: {} }),
          ...(sentinelPassword !== undefined && { password: sentinelPassword }),
        };
        const limits = { clock, limitMs: connectTimeoutMs };
        const command = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name] as const;
        const reply = await runOnce(options, command, limits);
        return Array.isArray(reply) ? reply.map(String).join(' ') : undefined;
      }),
    );
  }
}
