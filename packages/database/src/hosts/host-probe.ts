import { type Clock, CallDeadline } from '@holdfast/foundation';
import { parseLsn, parseTimeline } from '../lsn.ts';
import type { Connect, Link } from '../connection/connection.ts';
import type { Statement } from '../database.ts';

/** What a host said of itself. */
export interface ProbeAnswer {
  readonly writable: boolean;
  readonly timeline: number | undefined;
  /** Written, or replayed. */
  readonly position: bigint | undefined;
  readonly askedMs: number;
  readonly tookMs: number;
}

/**
 * A session may be told to write nothing although its host would; both count. The timeline of a standby is that
 * of its stream, or, without the right to see it, of its last restart point, which is never too high.
 */
export const PROBE: Statement = {
  text: `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') as read_only,
 case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text as lsn,
 case when pg_is_in_recovery() then lpad(to_hex(coalesce((select received_tli from pg_stat_wal_receiver),
 (select timeline_id from pg_control_checkpoint()))), 8, '0')
 else left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end as timeline`,
};

/** Asks one host, on a link of its own that is no part of the pool. */
export class HostProbe {
  readonly #connect: Connect;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #link: Link | undefined;
  #ending: AbortController | undefined;
  #asking: Promise<ProbeAnswer> | undefined;
  #askedMs = -Infinity;

  constructor(connect: Connect, clock: Clock, timeoutMs: number) {
    this.#connect = connect;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Asks, within `probeTimeoutMs`; a question under way serves everybody who does not need one asked later
   * than it was.
   * @throws what kept it from being answered.
   */
  async ask(notBeforeMs: number = -Infinity): Promise<ProbeAnswer> {
    while (this.#asking !== undefined) {
      if (this.#askedMs >= notBeforeMs) return this.#asking;
      await Promise.allSettled([this.#asking]);
    }
    this.#askedMs = this.#clock.now();
    const asking = this.#ask(this.#askedMs);
    this.#asking = asking;
    try {
      return await asking;
    } finally {
      this.#asking = undefined;
    }
  }

  end(): void {
    this.#ending?.abort(new Error('the database was ended'));
    // What is being asked is to end now, not with its timeout.
    if (this.#asking === undefined) this.#link?.close();
    else this.#link?.destroy();
    this.#link = undefined;
  }

  async #ask(askedMs: number): Promise<ProbeAnswer> {
    const limit = new CallDeadline(this.#clock, this.#timeoutMs);
    const ending = new AbortController();
    this.#ending = ending;
    const tooLate = `no answer within ${this.#timeoutMs} ms`;
    limit.current = { cancel: () => ending.abort(new Error(tooLate)) };
    try {
      const link = this.#link ?? (await this.#connect({ signal: ending.signal }));
      this.#link = link;
      ending.signal.throwIfAborted();
      limit.current = { cancel: () => link.destroy() };
      link.onLost = () => void (this.#link = undefined);
      const sentMs = this.#clock.now();
      const { rows } = await link.run(PROBE);
      link.hold(false);
      return readAnswer(rows[0], askedMs, this.#clock.now() - sentMs);
    } catch (error) {
      this.#link?.destroy();
      this.#link = undefined;
      throw error;
    } finally {
      limit.release();
      this.#ending = undefined;
    }
  }
}

function readAnswer(
  row: Readonly<Record<string, unknown>> | undefined,
  askedMs: number,
  tookMs: number,
): ProbeAnswer {
  const isStandby = row?.['standby'] !== false;
  return {
    writable: !isStandby && row['read_only'] === 'off',
    timeline: parseTimeline(row?.['timeline']),
    position: parseLsn(row?.['lsn']),
    askedMs,
    tookMs,
  };
}
