import { Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { findSuites } from '../suites/runner.ts';
import { runSuites } from '../suites/run-suites.ts';
import { wholeNumber } from './option-values.ts';

interface RunCommandOptions {
  readonly seed?: number;
  readonly stage?: string;
}

const MAX_SEED = 4_294_967_295;

/** `holdfast run`. */
export function runCommand(context: CliContext): Command {
  return new Command('run')
    .description(
      'Runs the infrastructure suites: those of a checkout of Holdfast, or in a package of yours that depends on ' +
        '@holdfast/report its own Jest tests.',
    )
    .argument('[family...]', 'parts of paths, such as redis-failover; without one all')
    .option('--seed <number>', 'of random faults', wholeNumber(0, MAX_SEED))
    .addOption(
      new Option('--stage <mode>', 'how servers run').choices(['local', 'docker', 'compose']),
    )
    .action(async (patterns: string[], options: RunCommandOptions) => {
      const runner = findSuites(process.cwd());
      context.exitWith(await runSuites(runner, { patterns, ...options }, context));
    });
}
