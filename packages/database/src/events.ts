import type { EventKinds } from '@holdfast/foundation';
import type { Token } from './connection/token.ts';

/** A host's role. `fenced`: it claims to be primary, but on an abandoned timeline. */
export type HostRole = 'unknown' | 'primary' | 'standby' | 'offline' | 'fenced';

/** The events of `on()` and of the channels `holdfast:database:<kind>`. Times are the clock's `now()`. */
export interface DatabaseEvents {
  /** A connection was established. */
  connected: { host: string; tookMs: number; atMs: number };
  /** An attempt to connect failed; while the server is down the next one follows after `delayMs`. */
  'connect-failed': { host: string; error: string; attempt: number; delayMs: number; atMs: number };
  /** A connection was lost, idle or leased. */
  lost: { host: string; error: string; leased: boolean; atMs: number };
  /** The server refused further connections; for a while no more than `cap` are opened. */
  capped: { host: string; cap: number; atMs: number };
  /** A host's role was seen to change. */
  host: { host: string; from: HostRole; to: HostRole; reason?: string; atMs: number };
  /** The fence could not be read, or a timeline not stored, so writes wait; it is tried again after 200 ms. */
  'fence-failed': { action: 'load' | 'store'; error: string; atMs: number };
  /**
   * What a session had written or read was lost by a promotion, or may be; its calls reject with TokenLostError. Once
   * for each session. `began`: where the promoted server's timeline began, or a later position.
   */
  'token-lost': { host: string; token: Token; timeline: number; began: string; atMs: number };
  /** A connection has been leased for longer than `leakReportMs`. */
  leak: { host: string; ageMs: number; acquiredAt: string; lastSql?: string; atMs: number };
  /** A connection that was reported as leaked was released after all. */
  'leak-returned': { host: string; ageMs: number; acquiredAt: string; atMs: number };
  /** The outcome of a COMMIT whose reply was lost was found by its marker row. */
  'commit-resolved': { committed: boolean; atMs: number };
}

export const databaseEventKinds: EventKinds<DatabaseEvents> = {
  connected: true,
  'connect-failed': true,
  lost: true,
  capped: true,
  host: true,
  'fence-failed': true,
  'token-lost': true,
  leak: true,
  'leak-returned': true,
  'commit-resolved': true,
};
