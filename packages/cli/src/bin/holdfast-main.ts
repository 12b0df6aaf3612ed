#!/usr/bin/env node
import { constants } from 'node:os';
import { environment, requireNode, systemClock } from '@holdfast/foundation';
import { warningText } from '../terminal/warning-text.ts';
import { widthOf, wrap } from '../terminal/wrap.ts';

try {
  requireNode('holdfast');
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(2);
}
// Later: an older Node cannot load it.
const [{ CliInterruption }, { runHoldfast }] = await Promise.all([
  import('../context.ts'),
  import('../program.ts'),
]);

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  // Only the first: a second one ends the process at once, as it would without this.
  process.once(name, () => interrupted.abort(new CliInterruption(name, constants.signals[name])));
}
// In the words of the command, instead of those of Node.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  const text = warningText(warning);
  if (text === undefined) return;
  const lines = wrap(`holdfast: ${text}`, widthOf(process.stderr), '  ');
  process.stderr.write(`${lines.join('\n')}\n`);
});
// A reader that has gone, such as `head`, wants no more.
process.stdout.on('error', () => process.exit());

process.exitCode = await runHoldfast(process.argv.slice(2), {
  variables: environment,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
  clock: systemClock,
});
