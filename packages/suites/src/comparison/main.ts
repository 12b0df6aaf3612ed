/**
 * Scores queues by their results under faults of a real Redis:
 * `node packages/suites/src/comparison/main.ts [--module path] [part of a fault's name]`
 *
 * Without `--module`, scores Holdfast and BullMQ. A module exports `name` and `open`, as declared in `QueueModule`.
 */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { scoredFaults } from './faults.ts';
import { bullmq, holdfast } from './modules.ts';
import type { QueueModule } from './queue-module.ts';
import { type Score, score } from './score.ts';

const { values, positionals } = parseArgs({
  options: { module: { type: 'string' } },
  allowPositionals: true,
});

async function modules(): Promise<QueueModule[]> {
  if (values.module === undefined) return [holdfast, bullmq];
  const given: QueueModule = await import(pathToFileURL(values.module).href);
  return [given];
}

function row(fault: string, name: string, it: Score): string {
  const back = Number.isNaN(it.backAfterMs) ? 'never' : `${(it.backAfterMs / 1_000).toFixed(1)} s`;
  const { acceptedDuring, rejected, pending, lost, duplicated, outOfOrder } = it;
  const cells = [rejected, pending, lost, duplicated, outOfOrder].join(' | ');
  return `| ${fault} | ${name} | ${acceptedDuring.toFixed(1)} % | ${cells} | ${back} |\n`;
}

process.stdout.write(
  '| fault | queue | accepted during | rejected | pending | lost | duplicated | out of order | back after |\n' +
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n',
);
const words = positionals.join(' ');
for (const fault of scoredFaults.filter(({ name }) => name.includes(words))) {
  for (const module of await modules()) {
    process.stdout.write(row(fault.name, module.name, await score(module, fault)));
  }
}
process.exit();
