import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { stageDownCommand } from './stage-down.ts';
import { stageStatusCommand } from './stage-status.ts';
import { stageUpCommand } from './stage-up.ts';

/** `holdfast stage`. */
export function stageCommand(context: CliContext): Command {
  return new Command('stage')
    .description('Keeps real servers up for your own tests.')
    .addCommand(stageUpCommand(context))
    .addCommand(stageDownCommand(context))
    .addCommand(stageStatusCommand(context));
}
