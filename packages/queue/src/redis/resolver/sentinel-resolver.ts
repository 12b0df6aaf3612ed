import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
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

export interface SentinelResolverOptions extends ResolverOptions {
  readonly sentinels: readonly ResolvedAddress[];
  readonly name: string;
  readonly sentinelPassword: string | undefined;
  readonly login: ResolvedLogin;
}

/**
 * The way to the primary that most of the Sentinels name. All are asked at once, so that one that is
 * silent, or cut off with an old primary, neither delays nor decides.
 */
export class SentinelResolver implements ServerResolver {
  readonly #options: SentinelResolverOptions;
  #asked: { readonly atMs: number; readonly answer: Promise<string> } | undefined;

  constructor(options: SentinelResolverOptions) {
    this.#options = options;
  }

  async client(required: RequiredOptions): Promise<Redis> {
    const { host, port } = addressOf(await this.#ask());
    return new Redis({ host, port, ...loginOptions(this.#options.login), ...required });
  }

  /** A server may have been demoted, or not promoted yet, while the Sentinels name it. */
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
    const named = await this.#askSparingly().catch(() => undefined);
    return named === undefined || named === addressText({ host, port });
  }

  /** For all links together once per interval. */
  #askSparingly(): Promise<string> {
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
        const said = await runOnce(options, command, limits);
        return Array.isArray(said) ? said.map(String).join(' ') : undefined;
      }),
    );
  }
}
