import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import { Command, CommanderError } from 'commander';
import { completionsCommand } from './commands/completions.ts';
import { demoCommand } from './commands/demo.ts';
import { queueCommand } from './commands/queue/queue.ts';
import { replayCommand } from './commands/replay.ts';
import { runCommand } from './commands/run.ts';
import { scoreCommand } from './commands/score.ts';
import { reportCommand } from './commands/report/report.ts';
import { stageCommand } from './commands/stage.ts';
import { type CliContext, CliInterruption, type ProcessContext } from './context.ts';
import { describeError, exitCodeOf } from './describe-error.ts';
import { EXIT, EXIT_CODES_HELP } from './exit-codes.ts';
import { widthOf, wrap } from './terminal/wrap.ts';

/** Each makes a command of its own; their order is that of `--help`. */
const commands: readonly ((context: CliContext) => Command)[] = [
  demoCommand,
  stageCommand,
  runCommand,
  replayCommand,
  scoreCommand,
  reportCommand,
  queueCommand,
  completionsCommand,
];

/** Runs one command from its words to its exit code; never rejects. */
export async function runHoldfast(args: readonly string[], deps: ProcessContext): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram({ ...deps, exitWith: (code) => (exitCode = code) });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has printed it. A help or version that was asked for is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (error === deps.signal.reason && error instanceof CliInterruption) {
      deps.stderr.write(`holdfast: ${error.message}\n`);
      return error.exitCode;
    }
    const lines = wrap(`holdfast: ${describeError(error)}`, widthOf(deps.stderr), '  ');
    deps.stderr.write(`${lines.join('\n')}\n`);
    return exitCodeOf(error);
  }
}

/** The tree of commands; nothing is written or started before it parses words. */
function createProgram(context: CliContext): Command {
  const program = new Command('holdfast')
    .description('Breaks real servers under load, and shows what is kept.')
    .version(versionOf(), '--version', 'print the version')
    .addHelpText('afterAll', EXIT_CODES_HELP);
  for (const create of commands) program.addCommand(create(context));
  configure(program, context);
  return program;
}

/** Commander passes these settings only to commands that it has made itself. */
function configure(command: Command, context: CliContext): void {
  const { stdout, stderr } = context;
  command
    .exitOverride()
    .helpOption('-h, --help', 'print this')
    .showHelpAfterError(`(see '${pathOf(command)} --help')`)
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(wrapped(text, widthOf(stderr))),
      getOutHelpWidth: () => widthOf(stdout),
      getErrHelpWidth: () => widthOf(stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  if (command.commands.length > 0)
    command.helpCommand('help [command]', 'print what a command takes');
  for (const child of command.commands) configure(child, context);
}

/** The lines of a text, none longer than `width`. */
function wrapped(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => wrap(line, width, '  '))
    .join('\n');
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Of the package, whose manifest is one folder up in the source as in the build. */
function versionOf(): string {
  const manifest = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');
  return String(propertyOf(JSON.parse(manifest), 'version'));
}
