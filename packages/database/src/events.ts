/** What is known about a host. `fenced`: it calls itself primary, but of a history that has been left. */
export type HostRole = 'unknown' | 'primary' | 'standby' | 'offline' | 'fenced';

/** What `on()` and the channels `holdfast:database:<kind>` announce. Times are the clock's `now()`. */
export interface DatabaseEvents {
  /** A link stands and may be lent. */
  connected: { host: string; tookMs: number; atMs: number };
  /** An attempt to connect failed; while the server is away the next one comes after `delayMs`. */
  'connect-failed': { host: string; error: string; attempt: number; delayMs: number; atMs: number };
  /** A link was lost, idle or lent. */
  lost: { host: string; error: string; lent: boolean; atMs: number };
  /** The server refused further links; no more than `cap` are tried for a while. */
  capped: { host: string; cap: number; atMs: number };
  /** A host's role was seen to change. */
  host: { host: string; from: HostRole; to: HostRole; reason?: string; atMs: number };
  /** The fence could not be read, so nobody is written to yet; or not stored, so it is known here alone. */
  'fence-failed': { action: 'load' | 'store'; error: string; atMs: number };
  /** A link has been on loan for longer than `leakReportMs`. */
  leak: { host: string; ageMs: number; acquiredAt: string; lastSql?: string; atMs: number };
  /** A link that was reported as leaked was given back after all. */
  'leak-returned': { host: string; ageMs: number; acquiredAt: string; atMs: number };
  /** A COMMIT whose answer was lost was looked up by its marker row. */
  'commit-resolved': { committed: boolean; atMs: number };
}
