import { type Clock, CallDeadline } from '@holdfast/foundation';
import { parseLsn, parseTimeline } from '../lsn.ts';
import type { Connect, Connection } from '../connection/connection.ts';
import type { Statement } from '../database.ts';

/** The result of probing a host. */
export interface ProbeResult {
  readonly writable: boolean;
  readonly timeline: number | undefined;
  /** The position written by a primary, or replayed by a standby. */
  readonly position: bigint | undefined;
  readonly probedMs: number;
  readonly tookMs: number;
}

/**
 * A session may be read-only although its host is not; both count. The timeline of a standby is that of its WAL
 * receiver, or, without the privilege to see it, that of its last restart point, which is never too high.
 */
export const PROBE: Statement = {
  text: `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') as read_only,
 case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text as lsn,
 case when pg_is_in_recovery() then lpad(to_hex(coalesce((select received_tli from pg_stat_wal_receiver),
 (select timeline_id from pg_control_checkpoint()))), 8, '0')
 else left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end as timeline`,
};

/** Probes one host, on a connection outside of the pool. */
export class HostProbe {
  readonly #connect: Connect;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #connection: Connection | undefined;
  readonly #ending = new AbortController();
  #pending: Promise<ProbeResult> | undefined;
  #probedMs = -Infinity;

  constructor(connect: Connect, clock: Clock, timeoutMs: number) {
    this.#connect = connect;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Probes the host within `probeTimeoutMs`. A probe under way is shared, unless it began before `notBeforeMs`.
   * @throws the error that prevented a reply.
   */
  async run(notBeforeMs: number = -Infinity): Promise<ProbeResult> {
    while (this.#pending !== undefined) {
      if (this.#probedMs >= notBeforeMs) return this.#pending;
      await Promise.allSettled([this.#pending]);
    }
    this.#probedMs = this.#clock.now();
    const pending = this.#query(this.#probedMs);
    this.#pending = pending;
    try {
      return await pending;
    } finally {
      this.#pending = undefined;
    }
  }

  /** Ends a probe under way now, not at its timeout. */
  end(): void {
    this.#ending.abort(new Error('the database was ended'));
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #query(probedMs: number): Promise<ProbeResult> {
    const deadline = new CallDeadline(this.#clock, this.#timeoutMs, [this.#ending.signal]);
    const { signal } = deadline;
    try {
      const connection = this.#connection ?? (await this.#connect({ signal }));
      this.#connection = connection;
      signal.throwIfAborted();
      deadline.current = { cancel: () => connection.destroy() };
      connection.onLost = () => void (this.#connection = undefined);
      const sentMs = this.#clock.now();
      const { rows } = await connection.run(PROBE);
      connection.hold(false);
      return parseResult(rows[0], probedMs, this.#clock.now() - sentMs);
    } catch (error) {
      this.#connection?.destroy();
      this.#connection = undefined;
      throw error;
    } finally {
      deadline.release();
    }
  }
}

function parseResult(
  row: Readonly<Record<string, unknown>> | undefined,
  probedMs: number,
  tookMs: number,
): ProbeResult {
  const isStandby = row?.['standby'] !== false;
  return {
    writable: !isStandby && row['read_only'] === 'off',
    timeline: parseTimeline(row?.['timeline']),
    position: parseLsn(row?.['lsn']),
    probedMs,
    tookMs,
  };
}
