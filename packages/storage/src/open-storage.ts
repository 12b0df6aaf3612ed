import { join } from 'node:path';
import { type FileSystem, type Journal, openJournal } from '@holdfast/journal';
import { Blobs } from './journal/blobs.ts';
import { Budget } from './accept/budget.ts';
import { OperationLog } from './journal/operation-log.ts';
import { type Recovered, recover } from './journal/recover.ts';
import type { ResolvedStorageOptions } from './options.ts';

/** What stands on the disk, opened. */
export interface OpenedLog {
  readonly journal: Journal;
  readonly log: OperationLog;
  readonly blobs: Blobs;
  readonly budget: Budget;
  readonly recovered: Recovered;
}

const MIB = 1_048_576;
/** A record's head with the longest key and metadata. */
const MAX_HEAD_BYTES = 16_384;
/** Records that are overtaken, and old ones written anew, until they are let go of. */
const JOURNAL_SLACK_BYTES = 64 * MIB;
const MAX_PENDING_BYTES = 256 * MIB;

/**
 * Opens the journal and the bodies beside it: `<directory>/log` and `<directory>/bodies`.
 * @throws the journal's own errors
 */
export async function openLog(tuning: ResolvedStorageOptions): Promise<OpenedLog> {
  const { files, clock, backends } = tuning;
  const { directory, durability, maxBytes, maxPending, segmentBytes } = tuning.journal;
  await makeDirectory(files, directory);
  const blobs = new Blobs(files, join(directory, 'bodies'));
  const journal = await openJournal({
    directory: join(directory, 'log'),
    durability,
    segmentBytes,
    maxBytes: 2 * maxBytes + JOURNAL_SLACK_BYTES,
    maxRecordBytes: tuning.inlineBytes + MAX_HEAD_BYTES + MIB,
    maxPendingBytes: MAX_PENDING_BYTES,
    clock,
    files,
  });
  try {
    await blobs.open();
    const names = backends.map(({ name }) => name);
    const recovered = await recover(journal, names);
    await blobs.removeOthers(
      new Set(recovered.held.flatMap(({ operation }) => operation.blob ?? [])),
    );
    const { maxObjectBytes, maxMemoryBytes } = tuning;
    const budget = new Budget({ maxBytes, maxPending, maxObjectBytes });
    const log = new OperationLog(journal, blobs, { clock, maxMemoryBytes });
    for (const { operation, sequence, settled } of recovered.held) {
      log.adopt(operation, sequence, settled);
      budget.adopt(operation.size);
    }
    return { journal, log, blobs, budget, recovered };
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/** Its last folder, if that is missing; the journal says what is wrong with a path it cannot use. */
async function makeDirectory(files: FileSystem, directory: string): Promise<void> {
  try {
    if (await files.makeDirectory(directory)) await files.syncDirectory(join(directory, '..'));
  } catch {
    // Opening the journal in it fails too, with an error that says what to do.
  }
}
