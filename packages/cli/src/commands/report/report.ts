import { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { reportCompareCommand } from './compare.ts';
import { reportHistoryCommand } from './history.ts';
import { reportOpenCommand } from './open.ts';

/** `holdfast report`. */
export function reportCommand(context: CliContext): Command {
  return new Command('report')
    .description('Shows what runs have shown, and what became worse.')
    .addCommand(reportOpenCommand(context))
    .addCommand(reportCompareCommand(context))
    .addCommand(reportHistoryCommand(context));
}
