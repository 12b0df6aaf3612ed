import { type Clock, CallDeadline } from '@holdfast/foundation';
import { PositionReader } from '../lsn.ts';
import type { Connect, Connection } from '../connection/connection.ts';
import type { Statement } from '../database.ts';

/** The result of probing a host. */
export interface ProbeResult {
  readonly writable: boolean;
  readonly timeline: number | undefined;
  /** The position written by a primary, or replayed by a standby. */
  readonly position: bigint | undefined;
  /** Why the position is not known, if the server does not permit to read it. */
  readonly refusal: string | undefined;
  readonly probedMs: number;
  readonly tookMs: number;
}

/** A session may be read-only although its host is not; both count. */
const PROBE: Statement = {
  text: "select pg_is_in_recovery() as standby, current_setting('transaction_read_only') as read_only",
};

/** A connection that was silent for longer, as of a process that was frozen, may be dead: another one is opened. */
const LONGEST_SILENCE_MS = 10_000;

/** Probes one host, on a connection outside of the pool. */
export class HostProbe {
  readonly #connect: Connect;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #connection: Connection | undefined;
  #positions = new PositionReader();
  /** When its connection was opened. */
  connectedMs: number = -Infinity;
  /** When a probe last began that got no reply, although its connection had been accepted. */
  deniedMs: number = -Infinity;
  /** The connection of the probe under way is given up after it. */
  #mustRenew = false;
  #repliedMs = -Infinity;
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
      if (this.#mustRenew) this.#disconnect();
      this.#mustRenew = false;
    }
  }

  /** Opens another connection for the next probe, if this one is older: the host's name may lead elsewhere by now. */
  renew(olderThanMs = 0): void {
    if (this.#clock.now() - this.connectedMs < olderThanMs) return;
    if (this.#pending === undefined) this.#disconnect();
    else this.#mustRenew = true;
  }

  /** Ends a probe under way now, not at its timeout. */
  end(): void {
    this.#ending.abort(new Error('the database was closed'));
    this.#disconnect();
  }

  #disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) connection.onLost = undefined;
    connection?.close();
  }

  async #open(signal: AbortSignal): Promise<Connection> {
    const connection = await this.#connect({ signal });
    this.#connection = connection;
    this.#positions = new PositionReader();
    this.connectedMs = this.#clock.now();
    return connection;
  }

  async #query(probedMs: number): Promise<ProbeResult> {
    const deadline = new CallDeadline(this.#clock, this.#timeoutMs, [this.#ending.signal]);
    const { signal } = deadline;
    if (probedMs - this.#repliedMs > LONGEST_SILENCE_MS) this.#disconnect();
    let isAccepted = false;
    try {
      const connection = this.#connection ?? (await this.#open(signal));
      signal.throwIfAborted();
      isAccepted = true;
      deadline.current = { cancel: () => connection.destroy() };
      connection.onLost = () => void (this.#connection = undefined);
      const sentMs = this.#clock.now();
      const statements = this.#positions.statements();
      const [role, ...settled] = await connection.pipeline([PROBE, ...statements]);
      connection.hold(false);
      if (role?.status !== 'fulfilled') throw role?.reason ?? new Error('no reply');
      this.#repliedMs = this.#clock.now();
      const found = this.#positions.read(statements, settled);
      const timeline = found?.token.timeline;
      const position = found?.position;
      const { refusal } = this.#positions;
      const tookMs = this.#repliedMs - sentMs;
      const { writable } = parseRole(role.value.rows[0]);
      return { writable, timeline, position, refusal, probedMs, tookMs };
    } catch (error) {
      if (isAccepted) this.deniedMs = probedMs;
      this.#connection?.destroy();
      this.#connection = undefined;
      throw error;
    } finally {
      deadline.release();
    }
  }
}

function parseRole(row: Readonly<Record<string, unknown>> | undefined): { writable: boolean } {
  return { writable: row?.['standby'] === false && row['read_only'] === 'off' };
}
