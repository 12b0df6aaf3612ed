import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StageMode } from '@holdfast/stage';
import { Argument, Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { CommandUsageError } from '../errors.ts';
import { beginKeeper } from '../stage/begin-keeper.ts';
import {
  DEFAULT_SERVERS,
  STAGE_SERVER_NAMES,
  type StageServerName,
  checkServers,
} from '../stage/stage-server-names.ts';
import {
  type KeptStage,
  createStateDirectory,
  isUp,
  readState,
  removeState,
  stateFileIn,
} from '../stage/stage-state.ts';
import {
  type StageCommandOptions,
  directoryOption,
  jsonOption,
  printStage,
  sinceOf,
  tell,
} from './stage-output.ts';

interface UpOptions extends StageCommandOptions {
  readonly stage?: StageMode;
}

const COMPOSE_FILE = 'docker-compose.test.yml';

/** `holdfast stage up`. */
export function stageUpCommand(context: CliContext): Command {
  return new Command('up')
    .description(
      'Starts servers that outlive this command, and prints the variables by which clients find them.',
    )
    .addArgument(
      new Argument('[servers...]', 'which')
        .choices(STAGE_SERVER_NAMES)
        .default(DEFAULT_SERVERS, DEFAULT_SERVERS.join(' ')),
    )
    .addOption(
      new Option(
        '--stage <mode>',
        'how servers run; otherwise HOLDFAST_STAGE, else docker where it is available, else local',
      ).choices(['local', 'docker', 'compose']),
    )
    .addOption(directoryOption)
    .addOption(jsonOption)
    .action((names: StageServerName[], options: UpOptions) => up(context, names, options));
}

async function up(
  context: CliContext,
  names: readonly StageServerName[],
  options: UpOptions,
): Promise<void> {
  const { directory, stage: mode, json = false } = options;
  checkServers(names);
  if (mode === 'compose' && !existsSync(COMPOSE_FILE)) {
    throw new CommandUsageError(
      `this folder has no ${COMPOSE_FILE}`,
      "Mode 'compose' is for a clone of holdfast; use '--stage docker' or '--stage local'",
    );
  }
  const stateFile = stateFileIn(directory);
  const present = await readState(stateFile);
  if (present !== undefined && isUp(present)) {
    printPresent(context, present, names, json);
    return;
  }
  // Of a stage whose process was killed; its servers have ended with it.
  await removeState(stateFile);
  await createStateDirectory(directory);
  tell(context, `Starting ${names.join(', ')} ...`);
  const result = await beginKeeper({
    request: { stateFile, names, ...(mode !== undefined && { mode }) },
    logFile: join(directory, 'stage.log'),
    variables: context.variables,
    signal: context.signal,
    onNotice: (text) => tell(context, `holdfast: ${text}`),
  });
  if (result.kind === 'failed') {
    tell(context, `holdfast: ${result.text}`);
    context.exitWith(result.exitCode);
    return;
  }
  printStage(context, result.stage, json);
  tell(context, `Up (${sinceOf(context, result.stage)}). 'holdfast stage down' ends them.`);
}

/** @throws CommandUsageError when not all that is asked for is up */
function printPresent(
  context: CliContext,
  present: KeptStage,
  names: readonly StageServerName[],
  asJson: boolean,
): void {
  const missing = names.filter((name) => !present.names.includes(name));
  const running = `${present.names.join(', ')} (${sinceOf(context, present)})`;
  if (missing.length > 0) {
    const seen = `up already: ${running}, without ${missing.join(', ')}`;
    throw new CommandUsageError(seen, "'holdfast stage down' ends it; then begin one with all");
  }
  printStage(context, present, asJson);
  tell(context, `Up already: ${running}. Nothing was started.`);
}
