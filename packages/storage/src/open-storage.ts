import { join } from 'node:path';
import { type FileSystem, type Journal, openJournal } from '@holdfast/journal';
import { Blobs } from './journal/blobs.ts';
import { Budget } from './accept/budget.ts';
import { OperationLog } from './journal/operation-log.ts';
import { type Recovered, recover } from './journal/recover.ts';
import type { ResolvedStorageOptions } from './options.ts';

/** The storage's files, opened. */
export interface OpenedLog {
  readonly journal: Journal;
  readonly log: OperationLog;
  readonly blobs: Blobs;
  readonly budget: Budget;
  readonly recovered: Recovered;
}

const MIB = 1_048_576;
/** The head of a record with the longest key and metadata. */
const MAX_HEAD_BYTES = 16_384;
/** Room for superseded records and rewritten old ones, until the journal releases them. */
const JOURNAL_SLACK_BYTES = 64 * MIB;
const MAX_PENDING_BYTES = 256 * MIB;

/**
 * Opens the journal and the bodies beside it: `<directory>/log` and `<directory>/bodies`.
 * @throws the journal's own errors
 */
export async function openLog(options: ResolvedStorageOptions): Promise<OpenedLog> {
  const { files, clock, backends } = options;
  const { directory, durability, maxBytes, maxPending, segmentBytes } = options.journal;
  await makeDirectory(files, directory);
  const blobs = new Blobs(files, join(directory, 'bodies'));
  const journal = await openJournal({
    directory: join(directory, 'log'),
    durability,
    segmentBytes,
    maxBytes: 2 * maxBytes + JOURNAL_SLACK_BYTES,
    maxRecordBytes: options.inlineBytes + MAX_HEAD_BYTES + MIB,
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
    const { maxObjectBytes, maxMemoryBytes } = options;
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

/** Makes the last folder of the path; the journal reports a path that it cannot use. */
async function makeDirectory(files: FileSystem, directory: string): Promise<void> {
  try {
    if (await files.makeDirectory(directory)) await files.syncDirectory(join(directory, '..'));
  } catch {
    // Opening the journal in it fails too, with an error that names the remedy.
  }
}
