import type { Journal } from '@holdfast/journal';
import {
  type AlertGroup,
  type AlertState,
  type LogEntry,
  type PendingDelivery,
  applyEntry,
  emptyState,
} from './state.ts';

/** What stands in the journal: an entry, or a part of a snapshot that replaces all before it. */
type LoggedEntry = LogEntry | SnapshotPart;

interface SnapshotPart {
  readonly kind: 'snapshot';
  readonly atMs: number;
  /** The number of this part, and of the last one. */
  readonly part: number;
  readonly last: number;
  readonly items: readonly SnapshotItem[];
}

type SavedGroup = Omit<AlertGroup, 'firing'>;
type SnapshotItem =
  | readonly ['alert', ReturnType<AlertState['alerts']['get']> & object]
  | readonly ['group', SavedGroup, readonly string[]]
  | readonly ['silence', ReturnType<AlertState['silences']['get']> & object]
  | readonly ['pending', string, PendingDelivery]
  | readonly ['beat', string, number]
  | readonly ['sent', string, readonly number[]];

const ITEMS_A_PART = 50;
const ENTRIES_BEFORE_SNAPSHOT = 2_000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The notification log on a journal: entries are appended, and compacted into a snapshot from time to time. */
export class NotificationLog {
  readonly #journal: Journal;
  #sinceSnapshot = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** The state as the log tells it. @throws JournalReadError, JournalClosedError */
  async read(): Promise<AlertState> {
    let state = emptyState();
    let rebuilt: AlertState | undefined;
    let nextPart = 0;
    let from = this.#journal.first;
    while (from < this.#journal.next) {
      const records = await this.#journal.read(from);
      if (records.length === 0) break;
      for (const { sequence, payload } of records) {
        from = sequence + 1;
        this.#sinceSnapshot += 1;
        const entry: LoggedEntry = JSON.parse(decoder.decode(payload));
        if (entry.kind !== 'snapshot') {
          applyEntry(state, entry);
          continue;
        }
        if (entry.part === 0) [rebuilt, nextPart] = [emptyState(), 0];
        // A snapshot that a crash cut short counts for nothing: what it would replace is still before it.
        if (rebuilt === undefined || entry.part !== nextPart) continue;
        nextPart += 1;
        rebuilt.atMs = Math.max(rebuilt.atMs, entry.atMs);
        for (const item of entry.items) restore(rebuilt, item);
        if (entry.part === entry.last) [state, rebuilt] = [rebuilt, undefined];
      }
    }
    return state;
  }

  /** Appends entries, all or none. @throws like the journal's `appendAll` */
  async append(entries: readonly LogEntry[]): Promise<void> {
    await this.#journal.appendAll(entries.map((entry) => encode(entry)));
    this.#sinceSnapshot += entries.length;
  }

  /** Whether enough was appended for a snapshot to be worth it. */
  get wantsSnapshot(): boolean {
    return this.#sinceSnapshot >= ENTRIES_BEFORE_SNAPSHOT;
  }

  /** Writes the state, and releases everything before it. @throws like the journal's `appendAll` and `release` */
  async snapshot(state: AlertState): Promise<void> {
    const items = itemsOf(state);
    const last = Math.max(0, Math.ceil(items.length / ITEMS_A_PART) - 1);
    const parts = Array.from({ length: last + 1 }, (_, part): SnapshotPart => {
      const start = part * ITEMS_A_PART;
      return {
        kind: 'snapshot',
        atMs: state.atMs,
        part,
        last,
        items: items.slice(start, start + ITEMS_A_PART),
      };
    });
    // Counted before the wait: a disk that fails is tried again after as many entries, not after each.
    this.#sinceSnapshot = 0;
    const first = await this.#journal.appendAll(parts.map((part) => encode(part)));
    await this.#journal.release(first - 1);
  }
}

function encode(entry: LoggedEntry): Uint8Array {
  return encoder.encode(JSON.stringify(entry));
}

function itemsOf(state: AlertState): SnapshotItem[] {
  const items: SnapshotItem[] = [];
  for (const alert of state.alerts.values()) items.push(['alert', alert]);
  for (const { firing, ...group } of state.groups.values())
    items.push(['group', group, [...firing]]);
  for (const silence of state.silences.values()) items.push(['silence', silence]);
  for (const [key, delivery] of state.pending) items.push(['pending', key, delivery]);
  for (const [duty, atMs] of state.beats) items.push(['beat', duty, atMs]);
  for (const [channel, times] of state.sent) items.push(['sent', channel, times]);
  return items;
}

function restore(state: AlertState, item: SnapshotItem): void {
  switch (item[0]) {
    case 'alert':
      state.alerts.set(item[1].fingerprint, item[1]);
      return;
    case 'group':
      // JSON leaves out what is undefined.
      state.groups.set(item[1].key, {
        ...item[1],
        quietMs: item[1].quietMs,
        incident: item[1].incident,
        endedMs: item[1].endedMs,
        firing: new Set(item[2]),
      });
      return;
    case 'silence':
      state.silences.set(item[1].id, item[1]);
      return;
    case 'pending':
      state.pending.set(item[1], { ...item[2], isInFlight: false, attempts: 0 });
      return;
    case 'beat':
      state.beats.set(item[1], item[2]);
      return;
    case 'sent':
      state.sent.set(item[1], [...item[2]]);
  }
}
