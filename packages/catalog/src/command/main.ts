#!/usr/bin/env node
import { constants } from 'node:os';
import { environment, systemClock } from '@holdfast/foundation';
import { Interruption } from './context.ts';
import { openTiers } from './open-tiers.ts';
import { runCommand } from './run-command.ts';

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  // Only the first: a second one ends the process at once, as it would without this.
  process.once(name, () => interrupted.abort(new Interruption(name, constants.signals[name])));
}
// A reader that has gone, such as `head`, wants no more.
process.stdout.on('error', () => process.exit());

process.exitCode = await runCommand({
  args: process.argv.slice(2),
  variables: environment,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
  clock: systemClock,
  openTiers,
});
