import { type Clock, sleep } from '@holdfast/foundation';
import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { type KeptStage, isUp, readState, removeState, stateFileIn } from '../stage/stage-state.ts';
import { type StageCommandOptions, directoryOption, tell } from './stage-output.ts';

/** Longer than a stage takes to close: 30 s. */
const CLOSE_TIMEOUT_MS = 40_000;
const POLL_MS = 20;

/** `holdfast stage down`. */
export function stageDownCommand(context: CliContext): Command {
  return new Command('down')
    .description("Ends what 'holdfast stage up' has started here, and nothing else.")
    .addOption(directoryOption)
    .action((options: StageCommandOptions) => down(context, options));
}

async function down(context: CliContext, { directory }: StageCommandOptions): Promise<void> {
  const stateFile = stateFileIn(directory);
  const stage = await readState(stateFile);
  if (stage === undefined) {
    tell(context, 'No stage is up here; nothing was ended.');
    return;
  }
  if (!isUp(stage)) {
    await removeState(stateFile);
    tell(context, `The stage of pid ${stage.pid} has ended before; nothing was ended.`);
    return;
  }
  process.kill(stage.pid, 'SIGTERM');
  if (!(await endsWithin(stage, CLOSE_TIMEOUT_MS, context))) {
    // What it kept is ended by its watchdog.
    process.kill(stage.pid, 'SIGKILL');
    await removeState(stateFile);
  }
  tell(context, `Ended: ${stage.names.join(', ')} (pid ${stage.pid}).`);
}

async function endsWithin(
  stage: KeptStage,
  limitMs: number,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<boolean> {
  const untilMs = clock.now() + limitMs;
  while (isUp(stage)) {
    if (clock.now() > untilMs) return false;
    await sleep(clock, POLL_MS, signal);
  }
  return true;
}
