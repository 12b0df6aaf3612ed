import type { Clock, Timer } from '@holdfast/foundation';
import type { PooledConnection } from './pooled-connection.ts';

/** What a pool with the interface of pg's does otherwise than that of `createDatabase`. */
export interface IdlePolicy {
  /** Connections that the idle timeout leaves. Default 0. */
  readonly min?: number;
  /** Idle connections keep the process alive. Default false. */
  readonly holdsProcess?: boolean;
  /** How long a caller waits while the host is away; without it as long as `acquireTimeoutMs`. */
  readonly outageTimeoutMs?: number;
}

interface IdleSweeperDeps {
  readonly clock: Clock;
  readonly idleTimeoutMs: number;
  /** Connections that the idle timeout leaves. */
  readonly min: number;
  /** Whether the timer keeps the process alive. */
  readonly holdsProcess: boolean;
  /** The idle connections of the pool. */
  readonly idle: readonly PooledConnection[];
  /** How many connections there are, idle or not. */
  readonly total: () => number;
  readonly retire: (pooled: PooledConnection) => void;
}

/** Closes idle connections at the end of their lifetime or of the idle timeout, with one timer for all. */
export class IdleSweeper {
  readonly #deps: IdleSweeperDeps;
  #timer: Timer | undefined;
  #atMs = Infinity;

  constructor(deps: IdleSweeperDeps) {
    this.#deps = deps;
  }

  /** A connection has become idle. */
  watch(pooled: PooledConnection, nowMs: number): void {
    pooled.idleSinceMs = nowMs;
    this.#sweepBy(this.#retiresAtMs(pooled), nowMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #retiresAtMs({ idleSinceMs, expiresAtMs }: PooledConnection): number {
    return Math.min(idleSinceMs + this.#deps.idleTimeoutMs, expiresAtMs);
  }

  #sweepBy(atMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#atMs <= atMs) return;
    const { clock, holdsProcess } = this.#deps;
    this.#timer?.cancel();
    this.#atMs = atMs;
    const sweep = (): void => this.#sweep();
    this.#timer = clock.schedule(Math.max(1, atMs - nowMs), sweep, { holdsProcess });
  }

  #sweep(): void {
    this.#timer = undefined;
    const { clock, idle, idleTimeoutMs, min, retire, total } = this.#deps;
    // A timer may fire up to a millisecond early.
    const nowMs = clock.now() + 1;
    let surplus = total() - min;
    const old = idle.filter(({ idleSinceMs, expiresAtMs }) => {
      const mayGo = nowMs - idleSinceMs >= idleTimeoutMs && surplus > 0;
      if (!mayGo && nowMs < expiresAtMs) return false;
      surplus -= 1;
      return true;
    });
    for (const pooled of old) retire(pooled);
    const isKept = total() <= min;
    const dueMs = idle.map((pooled) => (isKept ? pooled.expiresAtMs : this.#retiresAtMs(pooled)));
    if (dueMs.length > 0) this.#sweepBy(Math.min(...dueMs), nowMs);
  }
}
