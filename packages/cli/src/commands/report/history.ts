import { join } from 'node:path';
import { type HistoryEntry, flakyTests, readHistory, renderHistory } from '@holdfast/report';
import { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { Narrator } from '../../terminal/narrator.ts';
import { widthOf } from '../../terminal/wrap.ts';
import { wholeNumber } from '../option-values.ts';

interface HistoryOptions {
  readonly history: string;
  readonly report?: string;
  readonly last: number;
}

/** `holdfast report history`. */
export function reportHistoryCommand(context: CliContext): Command {
  return new Command('history')
    .description('Shows the last runs, and the tests that are flaky in them.')
    .option('--history <file>', 'the history', join('reports', 'history.jsonl'))
    .option('--report <name>', 'only runs of this report, such as reports/infrastructure')
    .option('--last <runs>', 'how many runs', wholeNumber(1, 400), 20)
    .action(({ history, report, last }: HistoryOptions) => {
      const narrator = new Narrator(context);
      const { entries, unreadable } = readHistory(history);
      const own = entries.filter((entry) => report === undefined || entry.report === report);
      const shown = own.slice(-last);
      if (shown.length === 0) narrator.say(`No run is in ${history}. A run adds itself to it.`);
      for (const line of renderHistory(shown, widthOf(context.stdout))) narrator.say(line);
      if (unreadable > 0) narrator.say(`${unreadable} lines could not be read`);
      for (const line of flakyLines(shown)) narrator.say(line, 'plain', '  ');
    });
}

function flakyLines(entries: readonly HistoryEntry[]): string[] {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  return [...Map.groupBy(entries, ({ report }) => report).values()].flatMap((own) =>
    flakyTests(own).map(
      ({ test, runs, unsteady, rate }) =>
        `flaky: ${test}: ${unsteady} of ${runs} runs (${percent(rate.low)} to ${percent(rate.high)})`,
    ),
  );
}
