import type { NameServerStats } from '../resolver.ts';
import type { ServerAddress } from '../options.ts';

/** How long a server that did not answer is asked last. */
const FAILED_MS = 30_000;
/** Before the first answer of a server. */
const FIRST_HEDGE_MS = 300;
const MIN_HEDGE_MS = 20;
const MAX_HEDGE_MS = 1_000;

/** What is known of one name server, by all questions that it was asked. */
export interface ServerScore {
  readonly server: ServerAddress;
  readonly name: string;
  /** When almost all answers of this server have come: about its 95th percentile. */
  readonly hedgeMs: number;
  succeeded(roundTripMs: number | undefined): void;
  failed(nowMs: number): void;
}

class Score implements ServerScore {
  readonly server: ServerAddress;
  readonly name: string;
  failedUntilMs = -Infinity;
  #roundTripMs: number | undefined;
  #deviationMs = 0;
  #consecutiveFailures = 0;

  constructor(server: ServerAddress, name: string) {
    this.server = server;
    this.name = name;
  }

  get hedgeMs(): number {
    if (this.#roundTripMs === undefined) return FIRST_HEDGE_MS;
    const usualMs = this.#roundTripMs + 4 * this.#deviationMs;
    return Math.min(MAX_HEDGE_MS, Math.max(MIN_HEDGE_MS, usualMs));
  }

  /** As TCP smooths its round trips: RFC 6298, section 2. */
  succeeded(roundTripMs: number | undefined): void {
    this.#consecutiveFailures = 0;
    this.failedUntilMs = -Infinity;
    if (roundTripMs === undefined) return;
    const before = this.#roundTripMs;
    if (before === undefined) {
      this.#roundTripMs = roundTripMs;
      this.#deviationMs = roundTripMs / 2;
      return;
    }
    this.#deviationMs += (Math.abs(roundTripMs - before) - this.#deviationMs) / 4;
    this.#roundTripMs = before + (roundTripMs - before) / 8;
  }

  failed(nowMs: number): void {
    this.#consecutiveFailures += 1;
    this.failedUntilMs = nowMs + FAILED_MS;
  }

  stats(): NameServerStats {
    return {
      server: this.name,
      roundTripMs: this.#roundTripMs,
      consecutiveFailures: this.#consecutiveFailures,
    };
  }
}

/** The name servers, those first that are thought to answer. */
export class ServerScores {
  #scores: readonly Score[] = [];

  /** Keeps what is known of servers that remain. */
  replace(servers: readonly ServerAddress[]): void {
    this.#scores = servers.map((server) => {
      const { address, port } = server;
      const name = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
      return this.#scores.find((score) => score.name === name) ?? new Score(server, name);
    });
  }

  /** In the given order, but those that failed within 30 s last. */
  ordered(nowMs: number): readonly ServerScore[] {
    const isGood = (score: Score): boolean => score.failedUntilMs <= nowMs;
    return [
      ...this.#scores.filter(isGood),
      ...this.#scores
        .filter((score) => !isGood(score))
        .toSorted((one, other) => one.failedUntilMs - other.failedUntilMs),
    ];
  }

  stats(): NameServerStats[] {
    return this.#scores.map((score) => score.stats());
  }
}
