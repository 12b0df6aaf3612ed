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

/** The subdirectory of the poison jobs, created for the first one. */
const POISON_FOLDER = 'poison';
/** A generous bound of a record's bytes besides its payload. */
const ENVELOPE_BYTES = 65_536;

/**
 * Opens the journal that keeps jobs while Redis does not accept them, and the store of poison jobs beside it.
 * @throws the errors of the journal
 */
export async function openFallback(
  { fallback, tuning }: Pick<ResolvedQueueOptions, 'fallback' | 'tuning'>,
  journals: JournalFactory,
): Promise<{ journal: Journal; poison: PoisonStore }> {
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
  const open = (directory: string): Promise<Journal> =>
    journals.open({ ...fallback.journal, directory, ...bounds, clock });
  const { directory } = fallback.journal;
  const journal = await open(directory);
  const poisonDirectory = join(directory, POISON_FOLDER);
  const poison = new PoisonStore({ open: () => open(poisonDirectory), maxJobs });
  try {
    if (await journals.exists(poisonDirectory)) await poison.load();
  } catch (error) {
    await journal.close();
    throw error;
  }
  return { journal, poison };
}
