import { connect } from 'node:net';
import { settlesWithin } from '@holdfast/foundation';
import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { type KeptServer, isUp, readState, stateFileIn } from '../stage/stage-state.ts';
import {
  type StageCommandOptions,
  directoryOption,
  jsonOption,
  printStage,
  sinceOf,
  tell,
} from './stage-output.ts';

const CONNECT_TIMEOUT_MS = 1_000;

/** `holdfast stage status`. */
export function stageStatusCommand(context: CliContext): Command {
  return new Command('status')
    .description('Prints what is up, and whether each server accepts connections.')
    .addOption(directoryOption)
    .addOption(jsonOption)
    .action((options: StageCommandOptions) => status(context, options));
}

async function status(context: CliContext, options: StageCommandOptions): Promise<void> {
  const { directory, json = false } = options;
  const stage = await readState(stateFileIn(directory));
  if (stage === undefined || !isUp(stage)) {
    if (json) context.stdout.write('{ "up": false }\n');
    tell(context, "No stage is up here. 'holdfast stage up' starts one.");
    context.exitWith(EXIT.unavailable);
    return;
  }
  printStage(context, stage, json);
  tell(context, `Up: ${stage.names.join(', ')} (${sinceOf(context, stage)}).`);
  const accepting = await Promise.all(stage.servers.map((server) => accepts(context, server)));
  for (const [at, server] of stage.servers.entries()) {
    const isAccepting = accepting[at] === true;
    tell(
      context,
      `  ${server.name}  ${server.url}${isAccepting ? '' : '  ACCEPTS NO CONNECTIONS'}`,
    );
  }
  if (accepting.includes(false)) context.exitWith(EXIT.unavailable);
}

async function accepts({ clock }: CliContext, { host, port }: KeptServer): Promise<boolean> {
  const socket = connect({ host, port });
  const connected = new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  try {
    return (await settlesWithin(clock, CONNECT_TIMEOUT_MS, connected)) && (await connected);
  } finally {
    socket.destroy();
  }
}
