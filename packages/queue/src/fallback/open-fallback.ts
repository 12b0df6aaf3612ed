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

/** Where journals stand. */
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

/** Beside the jobs that wait, those that were set apart; made when there is the first one. */
const POISON_FOLDER = 'poison';
/** What a record has beside its payload, generously. */
const ENVELOPE_BYTES = 65_536;

/**
 * Opens what jobs are kept in while Redis does not take them.
 * @throws what the journal throws
 */
export async function openFallback(
  { fallback, tuning }: Pick<ResolvedQueueOptions, 'fallback' | 'tuning'>,
  journals: JournalFactory,
): Promise<{ journal: Journal; poison: PoisonStore }> {
  const { clock, maxBacklogJobs: maxRecords, maxBacklogBytes: maxBytes } = tuning;
  const maxJobs = tuning.maxDeadLetters;
  // As JSON within JSON, where a job was set apart, a payload may be twice as long.
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
  const aside = join(directory, POISON_FOLDER);
  const poison = new PoisonStore({ open: () => open(aside), maxJobs });
  try {
    if (await journals.exists(aside)) await poison.load();
  } catch (error) {
    await journal.close();
    throw error;
  }
  return { journal, poison };
}
