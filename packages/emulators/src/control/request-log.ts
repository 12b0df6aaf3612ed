/** The latest requests to a server, in order of arrival. */
export interface RequestLog<Entry> {
  /** Keeps the entry itself, so that its fields may be completed later. */
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
