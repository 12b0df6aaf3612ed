import { Redis } from 'ioredis';
import { BackendError } from '../errors.ts';
import { addressOf, addressText, answerOfMost, askOnce, loginOptions } from './asking.ts';
import { type RequiredOptions, requiredOptions } from './connector.ts';
import type { Route, RouteOptions } from './route.ts';
import type { SettledAddress, SettledLogin } from './server-options.ts';

export interface SentinelRouteOptions extends RouteOptions {
  readonly sentinels: readonly SettledAddress[];
  readonly name: string;
  readonly sentinelPassword: string | undefined;
  readonly login: SettledLogin;
}

/**
 * The way to the primary that most of the Sentinels name. All are asked at once, so that one that is
 * silent, or cut off with an old primary, neither delays nor decides.
 */
export class SentinelRoute implements Route {
  readonly #options: SentinelRouteOptions;
  #asked: { readonly atMs: number; readonly answer: Promise<string> } | undefined;

  constructor(options: SentinelRouteOptions) {
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
    return answerOfMost(
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
        const said = await askOnce(options, command, limits);
        return Array.isArray(said) ? said.map(String).join(' ') : undefined;
      }),
    );
  }
}
