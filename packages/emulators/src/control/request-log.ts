/** What a server was asked, the newest of it, in the order it came. */
export interface RequestLog<Entry> {
  /** The entry is kept as it is: what is learned later may be written into it. */
  record(entry: Entry): void;
  read(): readonly Entry[];
  clear(): void;
}

const MAX_ENTRIES = 10_000;

export function createRequestLog<Entry>(): RequestLog<Entry> {
  let entries: Entry[] = [];
  return {
    record(entry) {
      entries.push(entry);
      if (entries.length >= 2 * MAX_ENTRIES) entries = entries.slice(-MAX_ENTRIES);
    },
    read: () => entries.slice(-MAX_ENTRIES),
    clear: () => void (entries = []),
  };
}
