import { resolve } from 'node:path';
import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { type ReplayTarget, findReplay, newestReport } from '../suites/find-replay.ts';
import { type SuiteRunner, findSuites } from '../suites/runner.ts';
import { type SuiteChoice, runSuites, variablesOf } from '../suites/run-suites.ts';
import { Narrator } from '../terminal/narrator.ts';

interface ReplayCommandOptions {
  readonly report?: string;
  readonly print?: true;
}

/** The folder of its report: that of the run it repeats stays. */
const REPORT_FOLDER = 'reports/replay';

/** `holdfast replay`. */
export function replayCommand(context: CliContext): Command {
  return new Command('replay')
    .description('Runs one scenario of a report again, with its seed and on its kind of stage.')
    .argument('<scenario>', 'its row in the report, its seed or a part of its name')
    .option('--report <file>', 'the run.json; otherwise the newest below reports')
    .option('--print', 'print the command and run nothing')
    .action(async (word: string, options: ReplayCommandOptions) => {
      const runner = findSuites(process.cwd());
      const path =
        options.report === undefined ? newestReport(runner.folder) : resolve(options.report);
      const target = findReplay(path, word);
      const choice = choiceOf(runner, target);
      const narrator = new Narrator(context);
      narrator.say(`${target.family}: ${target.name}`, 'plain', '  ');
      context.stdout.write(`${commandLine(runner, choice)}\n`);
      if (options.print !== true) context.exitWith(await runSuites(runner, choice, context));
    });
}

function choiceOf(
  { kind }: SuiteRunner,
  { file, family, test, seed, stage }: ReplayTarget,
): SuiteChoice {
  const pattern =
    file === undefined ? family : kind === 'checkout' ? file.replace(/^packages\//u, '') : file;
  const flags =
    test === undefined ? [] : ['-t', `${test.replaceAll(/[\\^$.*+?()[\]{}|]/gu, '\\$&')}$`];
  return { patterns: [pattern], flags, seed, stage, report: REPORT_FOLDER };
}

/** What a shell takes from the folder of the suites. */
function commandLine(runner: SuiteRunner, choice: SuiteChoice): string {
  const variables = Object.entries(variablesOf(choice)).map(([name, value]) => `${name}=${value}`);
  const words = runner.commandFor(choice.patterns, choice.flags).map(quote);
  return ['cd', quote(runner.folder), '&&', ...variables, 'node', ...words].join(' ');
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
