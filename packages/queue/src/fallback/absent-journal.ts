import { randomUUID } from 'node:crypto';
import type { HoldfastError } from '@holdfast/foundation';
import { type Journal, createMemoryJournal } from '@holdfast/journal';

/** Stands in for a journal that cannot be opened: it holds nothing, and refuses every job with the reason. */
export function createAbsentJournal(failure: () => HoldfastError): Journal {
  const empty = createMemoryJournal();
  const appendAll: Journal['appendAll'] = async (payloads) => {
    if (payloads.length > 0) throw failure();
    return 1;
  };
  return {
    id: randomUUID(),
    epoch: 1,
    first: 1,
    next: 1,
    recovery: empty.recovery,
    on: empty.on,
    append: (payload) => appendAll([payload]),
    appendAll,
    read: async () => [],
    release: async () => undefined,
    getStats() {
      const { code, message } = failure();
      return { ...empty.getStats(), failure: { code, message } };
    },
    close: () => empty.close(),
    [Symbol.asyncDispose]: () => empty.close(),
  };
}
