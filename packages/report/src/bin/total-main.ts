/** Prints the combined result of several runs: `node packages/report/src/bin/total-main.ts reports/a/run.json …`. */
import { summarize } from '../summarize.ts';

const paths = process.argv.slice(2);
if (paths.length === 0) {
  process.stderr.write('usage: total.ts <run.json> [<run.json> …]; no run was named\n');
  process.exitCode = 2;
} else {
  const { totals, lines } = summarize(paths);
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = totals.failed > 0 ? 1 : 0;
}
