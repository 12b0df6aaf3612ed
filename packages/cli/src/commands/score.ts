import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { CommandUsageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { type Check, scoreOf } from '../score/check.ts';
import { type ScoredKind, describeExport } from '../score/scored-module.ts';
import { Narrator } from '../terminal/narrator.ts';

interface ScoreCommandOptions {
  readonly queue?: string;
  readonly database?: string;
  readonly pool?: string;
  readonly storage?: string;
  readonly only?: string;
  readonly stage?: 'local' | 'docker';
}

const HELP = `
Each kind of module has a default export:
  queue     open({ url, host, port, directory }) returns { add, work, close }
  database  open({ url, max, timeoutMs, listens }) returns
            { query, acquire, transaction, end }
  storage   open({ endpoint, region, bucket, accessKeyId, secretAccessKey,
            directory }) returns { upload, download, close }`;

/** `holdfast score`. */
export function scoreCommand(context: CliContext): Command {
  return new Command('score')
    .description(
      'Kills and freezes a real server under a queue, a pool or a storage of anybody, and counts what it loses. ' +
        'Ends with 0 when every check is passed, with 1 when one is not, and with 2 when the module cannot be used.',
    )
    .option('--queue <module>', 'a queue on Redis')
    .option('--database <module>', 'a pool on Postgres')
    .option('--pool <module>', 'the same')
    .option('--storage <module>', 'a storage on S3')
    .option('--only <words>', 'runs the probes that have this in their name')
    .addOption(new Option('--stage <mode>', 'how servers run').choices(['local', 'docker']))
    .addHelpText('after', HELP)
    .action((options: ScoreCommandOptions) => score(context, options));
}

async function score(context: CliContext, options: ScoreCommandOptions): Promise<void> {
  const { kind, path } = chosenModule(options);
  const narrator = new Narrator(context);
  const { runScore } = await import('../score/run-score.ts');
  const checks = await runScore(
    {
      kind,
      path,
      only: options.only,
      mode: options.stage,
      onProbe: (name) => narrator.say(name, 'dim', '  '),
      onChecks: (seen) =>
        seen.forEach((each) => narrator.say(rowOf(each), toneOf(each), ' '.repeat(13))),
    },
    context,
  );
  const earned = checks.reduce((sum, each) => sum + each.earned, 0);
  const points = checks.reduce((sum, each) => sum + each.points, 0);
  const isWhole = earned === points;
  narrator.say(
    `score ${scoreOf(checks)} of 100 (${earned} of ${points} points)`,
    isWhole ? 'good' : 'bad',
  );
  context.exitWith(isWhole ? EXIT.done : EXIT.failed);
}

function rowOf({ name, seen, earned, points }: Check): string {
  const state = earned === points ? 'ok' : 'FAILED';
  return `  ${state.padEnd(6)} ${`${earned}/${points}`.padEnd(4)} ${name}: ${seen}`;
}

function toneOf({ earned, points }: Check): 'plain' | 'bad' {
  return earned === points ? 'plain' : 'bad';
}

function chosenModule({ queue, database, pool, storage }: ScoreCommandOptions): {
  kind: ScoredKind;
  path: string;
} {
  const given: [ScoredKind, string | undefined][] = [
    ['queue', queue],
    ['database', database],
    ['database', pool],
    ['storage', storage],
  ];
  const modules = given.flatMap(([kind, path]) => (path === undefined ? [] : [{ kind, path }]));
  const [only] = modules;
  if (only === undefined || modules.length > 1) {
    throw new CommandUsageError(
      modules.length > 1 ? 'several modules are given' : 'no module is given',
      `Give one of --queue, --database and --storage, such as 'holdfast score --queue ./my-queue.mjs'.`,
    );
  }
  const path = resolve(only.path);
  if (existsSync(path)) return { kind: only.kind, path };
  throw new CommandUsageError(
    `${path} does not exist`,
    `Give the path of a module. ${describeExport(only.kind)}`,
  );
}
