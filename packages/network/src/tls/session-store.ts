import type { Chain } from './presented-chain.ts';

/** A session with what its full handshake has shown, for a resumed one shows nothing. */
export interface StoredSession {
  readonly session: Buffer;
  readonly chain: Chain;
}

/** The newest session of each server; the one that was stored first is forgotten. */
export class SessionStore {
  readonly #maxSessions: number;
  readonly #sessions = new Map<string, StoredSession>();

  constructor(maxSessions: number) {
    this.#maxSessions = maxSessions;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(key: string): StoredSession | undefined {
    return this.#sessions.get(key);
  }

  set(key: string, session: StoredSession): void {
    if (this.#maxSessions === 0) return;
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > this.#maxSessions && oldest !== undefined) this.delete(oldest);
  }

  delete(key: string): void {
    this.#sessions.delete(key);
  }

  /** Drops the sessions whose handshake showed that certificate. */
  deleteOf(fingerprint: string): void {
    for (const [key, { chain }] of this.#sessions) {
      if (chain[0]?.fingerprint256 === fingerprint) this.#sessions.delete(key);
    }
  }

  clear(): void {
    this.#sessions.clear();
  }
}
