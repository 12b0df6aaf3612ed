import type { PooledConnection } from './pooled-connection.ts';

/** What the connections of a pool told of their host, also those that are gone; in times of its clock, `-Infinity`: never. */
export class EvidenceLog {
  /** When a connection was opened, or anything was answered, last. */
  repliedMs: number = -Infinity;
  /** When a message was answered other than by an error. */
  servedMs: number = -Infinity;
  /** When a connection was lost that was asked, and had never answered. */
  deniedMs: number = -Infinity;

  remember({ lastResponseMs, servedMs }: PooledConnection): void {
    this.repliedMs = Math.max(this.repliedMs, lastResponseMs);
    this.servedMs = Math.max(this.servedMs, servedMs);
  }

  lost({ servedMs, wasAsked }: PooledConnection, nowMs: number): void {
    if (wasAsked && servedMs === -Infinity) this.deniedMs = nowMs;
  }
}
