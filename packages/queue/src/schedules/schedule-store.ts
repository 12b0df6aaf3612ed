/** A tick that is later than this is missed; one that is earlier by the time of the store is not settled. */
export const LATE_MS = 10_000;

/** What a process tells the store of a schedule. */
export interface ScheduleNotice {
  /**
   * - `declare`: the schedule runs here. One that was removed begins anew: what came meanwhile counts as settled.
   * - `raise`: its ticks up to `tickMs` are settled; 0 only asks.
   * - `remove`: no process is to run it any more.
   */
  readonly kind: 'declare' | 'raise' | 'remove';
  /** In milliseconds since the Unix epoch. */
  readonly tickMs: number;
}

/** What the store knows of a schedule. */
export interface ScheduleRecord {
  /** Up to when ticks were settled by any process; 0 when there was none. It is only ever raised. */
  readonly lastTickMs: number;
  /** A process has removed the schedule. */
  readonly isRemoved: boolean;
  /** The time of the store, in milliseconds since the Unix epoch: the time by which all processes tick. */
  readonly serverMs: number;
}

/** What processes share of their schedules: the time, the last tick, and whether a schedule was removed. */
export interface ScheduleStore {
  /**
   * Compares the last tick with the one that is told, keeps the later one in the same atomic step, and returns it.
   * @throws BackendError
   */
  exchange(topic: string, name: string, notice: ScheduleNotice): Promise<ScheduleRecord>;
}

interface Kept {
  lastTickMs: number;
  isRemoved: boolean;
}

/** The schedules of a store in this process. */
export class MemoryScheduleStore implements ScheduleStore {
  readonly #kept = new Map<string, Kept>();
  readonly #epochMs: () => number;

  /** @param epochMs the time of the store. */
  constructor(epochMs: () => number) {
    this.#epochMs = epochMs;
  }

  async exchange(topic: string, name: string, notice: ScheduleNotice): Promise<ScheduleRecord> {
    const key = `${topic}\n${name}`;
    const kept = this.#kept.get(key) ?? { lastTickMs: 0, isRemoved: false };
    this.#kept.set(key, kept);
    const serverMs = this.#epochMs();
    if (notice.kind === 'declare' && kept.isRemoved) {
      kept.isRemoved = false;
      // Nothing was missed while it was removed.
      kept.lastTickMs = Math.max(kept.lastTickMs, serverMs);
    }
    if (notice.kind === 'remove') kept.isRemoved = true;
    // A process whose clock is wrong must not silence the others.
    const tickMs = Math.min(notice.tickMs, serverMs + LATE_MS);
    kept.lastTickMs = Math.max(kept.lastTickMs, tickMs);
    return { ...kept, serverMs };
  }
}
