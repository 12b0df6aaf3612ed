import type { CallDeadline } from '@holdfast/foundation';
import type { DatabaseHealth } from '../database.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { Host } from './host.ts';
import type { HostRouter, ReadHost, ReadHostSelector } from './host-router.ts';

/** The only host serves all calls, and is not probed for its role. */
export class SingleHost implements HostRouter, ReadHostSelector {
  readonly #host: Host;
  readonly #readHost: ReadHost;

  constructor(host: Host) {
    this.#host = host;
    const { name, pool } = host;
    this.#readHost = {
      name,
      key: name,
      role: 'primary',
      acquire: (deadline) => pool.acquire(deadline),
      served: () => undefined,
      failed: () => undefined,
    };
  }

  acquirePrimary(
    deadline: CallDeadline,
    timeoutMs?: number,
  ): PooledConnection | Promise<PooledConnection> {
    return this.#host.pool.acquire(deadline, timeoutMs);
  }

  reportReadOnly(): boolean {
    return false;
  }

  async selectHost(): Promise<ReadHost> {
    return this.#readHost;
  }

  health(): DatabaseHealth {
    const { total, connecting, connectError } = this.#host.pool.snapshot();
    const isConnected = total > connecting;
    const role = isConnected ? 'primary' : connectError === undefined ? 'unknown' : 'offline';
    return {
      level: role === 'offline' ? 'critical' : 'healthy',
      primary: isConnected ? this.#host.name : undefined,
      hosts: [{ ...this.#host.health(undefined), role }],
    };
  }

  end(): void {
    // There is no probe to stop.
  }
}
