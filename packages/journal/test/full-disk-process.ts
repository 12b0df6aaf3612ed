/**
 * Run with a mount namespace of its own: fills a real, small file system, frees it, and makes it read-only.
 * Prints what it saw as one line of JSON: `node full-disk-process.ts <directory>`.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { openJournal } from '../src/index.ts';

const [mountPoint = ''] = process.argv.slice(2);
const codeOf = (error: unknown): unknown => Object(error).code;
const limitOf = (error: unknown): unknown => Object(error).limit;

execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', mountPoint]);
const settings = { directory: join(mountPoint, 'journal'), segmentBytes: 65_536, checkpointMs: 10 };
const journal = await openJournal(settings);
const payload = Buffer.alloc(1_000, 'x');
let kept = 0;
const fill = async (): Promise<unknown> => {
  kept = await journal.append(payload);
  return kept < 1_000 ? fill() : undefined;
};
const refusal = await fill().catch((error: unknown) => error);
const readable = (await journal.read(1, { maxRecords: 2_000 })).length;
// A checkpoint that was under way already frees nothing.
const freed = nextEvent(journal, 'checkpointed', { matches: ({ released }) => released === kept });
// The journal's own timers let a process end.
const hold = systemClock.schedule(60_000, () => undefined);
await journal.release(kept);
await freed;
hold.cancel();
const after = await journal.append(payload);
await journal.close();
const again = await openJournal(settings);
const found = again.recovery;
await again.close();
execFileSync('mount', ['-o', 'remount,ro', mountPoint]);
const readOnly = await openJournal(settings).catch((error: unknown) => error);
const report = {
  kept,
  refusal: [codeOf(refusal), limitOf(refusal)],
  readable,
  after,
  found: [found.records, found.quarantined.length, found.truncatedBytes],
  readOnly: codeOf(readOnly),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
