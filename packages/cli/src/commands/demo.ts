import { systemRandom } from '@holdfast/foundation';
import type { StageMode } from '@holdfast/stage';
import { Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { headline, isKept, refusals, summaryTable } from '../demo/summary.ts';
import { EXIT } from '../exit-codes.ts';
import { Narrator } from '../terminal/narrator.ts';
import { wholeNumber } from './option-values.ts';

interface DemoCommandOptions {
  readonly seed?: number;
  readonly duration: number;
  readonly stage?: StageMode;
}

const MAX_SEED = 4_294_967_295;
const DEFAULT_DURATION_S = 10;

/** `holdfast demo`. */
export function demoCommand(context: CliContext): Command {
  return new Command('demo')
    .description(
      'Puts load on a queue, a database and a storage, kills, freezes and fills the Redis, Postgres ' +
        'and S3 behind them, and counts what is kept.',
    )
    .option('--seed <number>', 'the order and length of the faults', wholeNumber(0, MAX_SEED))
    .option(
      '--duration <seconds>',
      'how long faults are injected',
      wholeNumber(1, 3_600),
      DEFAULT_DURATION_S,
    )
    .addOption(
      new Option(
        '--stage <mode>',
        'how servers run; otherwise HOLDFAST_STAGE, else docker where it is available, else local',
      ).choices(['local', 'docker']),
    )
    .action((options: DemoCommandOptions) => demo(context, options));
}

async function demo(context: CliContext, options: DemoCommandOptions): Promise<void> {
  const { clock, signal } = context;
  const narrator = new Narrator(context);
  const seed = options.seed ?? Math.floor(systemRandom() * 100_000);
  narrator.say(`holdfast demo --seed ${seed} --duration ${options.duration}`);
  // Only now: it loads the clients of all servers.
  const { runDemo } = await import('../demo/run-demo.ts');
  const { injected, outcomes, tookMs } = await runDemo({
    seed,
    durationMs: options.duration * 1_000,
    mode: options.stage,
    clock,
    narrator,
    signal,
  });
  narrator.say('');
  for (const line of summaryTable(outcomes)) narrator.say(line);
  for (const line of refusals(outcomes)) narrator.say(line, 'dim', '  ');
  narrator.say('');
  const kept = outcomes.every(isKept);
  const took = `(${(tookMs / 1_000).toFixed(1)} s)`;
  narrator.say(`${headline(injected, outcomes)} ${took}`, kept ? 'good' : 'bad');
  narrator.say('');
  for (const line of NEXT) narrator.say(line, 'plain', '  ');
  context.exitWith(kept ? EXIT.done : EXIT.failed);
}

const NEXT = [
  'accepted: the call resolved; in outage: it did while the server could not',
  'take it. refused: the call rejected, and nothing was applied.',
  '',
  'Read next:',
  '  holdfast stage up      keeps such servers up for your own tests',
  '  holdfast --help        the other commands',
  '  https://github.com/holdfast-js/holdfast#readme',
];
