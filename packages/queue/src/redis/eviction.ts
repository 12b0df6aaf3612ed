import type { Clock } from '@holdfast/foundation';
import type { ManagedConnection } from './connection/managed-connection.ts';

/** The policy is read again this often, because an operator may change it. */
const READ_EVERY_MS = 60_000;
/** The policy that keeps every key; a full server rejects writes. */
const SAFE = 'noeviction';

/** Reads the eviction policies of the servers behind some connections, as far as this user may. */
export class EvictionWatch {
  readonly #clock: Clock;
  readonly #policies = new Map<ManagedConnection, { readAtMs: number; policy: string }>();
  readonly #onPolicy: (policy: string) => void;
  #reported = SAFE;

  /** @param onPolicy called when it is another one than before; `noeviction` is expected. */
  constructor(clock: Clock, onPolicy: (policy: string) => void) {
    this.#clock = clock;
    this.#onPolicy = onPolicy;
  }

  /** The policy of the server behind this connection; `noeviction` until another one is known. */
  policyOf(connection: ManagedConnection): string {
    return this.#policies.get(connection)?.policy ?? SAFE;
  }

  /** Reads the policy in the background, unless it was read lately. @param isNew the connection was lost meanwhile. */
  look(connection: ManagedConnection, isNew = false): void {
    const known = this.#policies.get(connection);
    const nowMs = this.#clock.now();
    if (!isNew && known !== undefined && nowMs - known.readAtMs < READ_EVERY_MS) return;
    const { policy = SAFE } = known ?? {};
    this.#policies.set(connection, { readAtMs: nowMs, policy });
    void this.#read(connection);
  }

  /** Reads the policies of all servers again, because connections were made. */
  lookAgain(): void {
    for (const connection of this.#policies.keys()) this.look(connection, true);
  }

  async #read(connection: ManagedConnection): Promise<void> {
    const policy = await readPolicy(connection);
    const known = this.#policies.get(connection);
    if (policy === undefined || known === undefined) return;
    known.policy = policy;
    const all = [...this.#policies.values()];
    const worst = all.find((one) => one.policy !== SAFE)?.policy ?? SAFE;
    if (worst === this.#reported) return;
    this.#reported = worst;
    this.#onPolicy(worst);
  }
}

/** `undefined` when the server does not tell this user. */
async function readPolicy(connection: ManagedConnection): Promise<string | undefined> {
  const ask = (...command: [string, ...string[]]): Promise<unknown> =>
    connection.call((client) => client.call(...command)).catch(() => undefined);
  const [, policy] = /^maxmemory_policy:([\w-]+)/mu.exec(String(await ask('INFO', 'memory'))) ?? [];
  if (policy !== undefined) return policy;
  const reply = await ask('CONFIG', 'GET', 'maxmemory-policy');
  return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : undefined;
}
