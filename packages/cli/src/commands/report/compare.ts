import { dirname, relative, sep } from 'node:path';
import {
  type Change,
  compareRuns,
  compareWithHistory,
  historyEntryOf,
  readHistory,
  readRun,
} from '@holdfast/report';
import { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { EXIT } from '../../exit-codes.ts';
import { Narrator, type LineTone } from '../../terminal/narrator.ts';
import { fileOfReport, historyBeside, newestReport } from './locate.ts';

interface CompareOptions {
  readonly history?: string;
}

const tones: Readonly<Record<Change['kind'], LineTone>> = {
  regression: 'bad',
  suspect: 'plain',
  gone: 'plain',
  fixed: 'good',
};

/** `holdfast report compare`. */
export function reportCompareCommand(context: CliContext): Command {
  return new Command('compare')
    .description('Shows what became worse: against the history, or from one run to another.')
    .argument('[run]', 'a run.json or its folder (default: the newest below reports/)')
    .argument('[newer]', 'a second one: the first is compared with it, without the history')
    .option('--history <file>', 'the history (default: history.jsonl beside the run or above it)')
    .addHelpText('after', "\nExits with 1 when something is a regression. A 'suspect' is none.")
    .action((run: string | undefined, newer: string | undefined, options: CompareOptions) => {
      const path = run === undefined ? newestReport('run.json') : fileOfReport(run, 'run.json');
      const narrator = new Narrator(context);
      const changes =
        newer === undefined
          ? againstHistory(path, options, narrator)
          : compareRuns(readRun(path), readRun(fileOfReport(newer, 'run.json')));
      for (const { kind, name, what } of changes) {
        narrator.say(`${kind.padEnd(10)}  ${name}: ${what}`, tones[kind], ' '.repeat(12));
      }
      const regressions = changes.filter(({ kind }) => kind === 'regression').length;
      narrator.say(`${regressions} regressions, ${changes.length - regressions} other changes`);
      if (regressions > 0) context.exitWith(EXIT.failed);
    });
}

function againstHistory(path: string, { history }: CompareOptions, narrator: Narrator): Change[] {
  const run = readRun(path);
  const { entries, unreadable } = readHistory(history ?? historyBeside(path));
  if (unreadable > 0) narrator.say(`${unreadable} lines of the history could not be read`);
  const own = entries.find(
    ({ startedAt, durationMs }) => startedAt === run.startedAt && durationMs === run.durationMs,
  );
  const report = own?.report ?? relative('', dirname(path)).split(sep).join('/');
  const earlier = entries.filter((entry) => entry.report === report && entry !== own);
  narrator.say(`${report}: compared with ${earlier.length} runs in the history`);
  return compareWithHistory(historyEntryOf(run, report), entries);
}
