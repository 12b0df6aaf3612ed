/**
 * A process that writes backups, for the tests that kill one or bound its heap: `node writer-process.ts <directory>
 * <task> <first generation>`. It tells each step by a line on its standard output.
 */
import { createBackup } from '../../src/index.ts';
import { bundlesOf, inParts, manifestOf } from '../bundles.ts';

const [directory = '', task = '', first = '1'] = process.argv.slice(2);
const backup = createBackup({ directory, acquireTimeoutMs: 0 });
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function* reportedParts(generation: number): ReturnType<typeof inParts> {
  for await (const part of inParts(bundlesOf(1_000, generation))) {
    say('part');
    yield part;
  }
}

/** Bundles that together are larger than the heap. */
async function* many(rows: number): ReturnType<typeof inParts> {
  for (let at = 0; at < rows; at += 1_000) yield bundlesOf(1_000, at);
}

if (task === 'write') {
  for (let generation = Number(first); ; generation += 1) {
    await backup.write(manifestOf(1_000, generation), reportedParts(generation));
    say(`kept ${generation}`);
  }
}
const rows = Number(first);
const { bytes } = await backup.write(manifestOf(rows), many(rows));
const counts = { read: 0, salvaged: 0 };
const reader = await backup.open();
for await (const frame of reader.readAll()) counts.read += frame.length;
await reader.close();
for await (const frame of await backup.salvage()) counts.salvaged += frame.length;
say(JSON.stringify({ ...counts, bytes, peakRssKib: process.resourceUsage().maxRSS }));
