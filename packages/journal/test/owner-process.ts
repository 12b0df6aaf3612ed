/**
 * A process that owns a journal, for the tests that kill one: `node owner-process.ts <directory> <task>`.
 * It tells each step by a line on its standard output.
 */
import { openJournal } from '../src/index.ts';

const [directory = '', task = ''] = process.argv.slice(2);
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

try {
  const journal = await openJournal({ directory, segmentBytes: 65_536, acquireTimeoutMs: 0 });
  say(`owner ${journal.epoch}`);
  if (task === 'append') {
    const writer = async (): Promise<void> => {
      while (true) {
        const payload = Buffer.from(
          `${journal.epoch}:${'x'.repeat(Math.trunc(Math.random() * 500))}`,
        );
        say(`kept ${await journal.append(payload)}`);
      }
    };
    await Promise.all([writer(), writer(), writer(), writer()]);
  } else {
    // Keeps the directory until the standard input ends, or somebody kills it.
    process.stdin.resume();
    await new Promise((resolve) => process.stdin.once('end', resolve));
    await journal.close();
  }
} catch (error) {
  say(`refused ${error instanceof Error && 'code' in error ? String(error.code) : String(error)}`);
}
