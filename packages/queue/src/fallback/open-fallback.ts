import { access } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Journal,
  type JournalOptions,
  createMemoryJournal,
  openJournal,
} from '@holdfast/journal';
import type { ResolvedQueueOptions } from '../options.ts';
import { PoisonStore } from './poison-store.ts';

/** Opens journals by their directories. */
export interface JournalFactory {
  open(options: JournalOptions): Promise<Journal>;
  exists(directory: string): Promise<boolean>;
}

export const diskJournals: JournalFactory = {
  open: openJournal,
  exists: (directory) =>
    access(directory).then(
      () => true,
      () => false,
    ),
};

/** The stores of the jobs that Redis does not have. */
export interface FallbackStores {
  readonly journal: Journal;
  readonly poison: PoisonStore;
}

/** The subdirectory of the poison jobs, created for the first one. */
const POISON_FOLDER = 'poison';
/** A generous bound of a record's bytes besides its payload. */
const ENVELOPE_BYTES = 65_536;

/**
 * Opens the journal that keeps jobs while Redis does not accept them, and the store of poison jobs beside it.
 * @throws the errors of the journal, the reason of the signal
 */
export async function openFallback(
  { fallback, tuning }: Pick<ResolvedQueueOptions, 'fallback' | 'tuning'>,
  journals: JournalFactory,
  signal: AbortSignal,
): Promise<FallbackStores> {
  const { clock, maxBacklogJobs: maxRecords, maxBacklogBytes: maxBytes } = tuning;
  const maxJobs = tuning.maxDeadLetters;
  // A poison job is stored as JSON within JSON, which may double the length of its payload.
  const maxRecordBytes = 2 * tuning.maxPayloadBytes + ENVELOPE_BYTES;
  const bounds = { maxRecords, maxBytes, maxRecordBytes };
  if (fallback === 'memory') {
    const open = (): Journal => createMemoryJournal(bounds);
    const poison = new PoisonStore({ open: () => Promise.resolve(open()), maxJobs });
    return { journal: open(), poison };
  }
  const isFutile = new AbortController();
  const opening = AbortSignal.any([signal, isFutile.signal]);
  const open = (directory: string): Promise<Journal> =>
    journals.open({ ...fallback.journal, directory, ...bounds, clock, signal: opening });
  const { directory } = fallback.journal;
  const poisonDirectory = join(directory, POISON_FOLDER);
  const poison = new PoisonStore({ open: () => open(poisonDirectory), maxJobs });
  const load = async (): Promise<void> => {
    if (await journals.exists(poisonDirectory)) await poison.load();
  };
  const journal = open(directory);
  journal.catch((error: unknown) => isFutile.abort(error));
  // At once, because the owner of both may have to be watched until it counts as dead.
  const [opened, loaded] = await Promise.allSettled([journal, load()]);
  if (opened.status === 'rejected') {
    await Promise.allSettled([poison.close()]);
    throw opened.reason;
  }
  if (loaded.status === 'rejected') {
    await Promise.allSettled([opened.value.close(), poison.close()]);
    throw loaded.reason;
  }
  return { journal: opened.value, poison };
}
