import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import {
  type CommandName,
  type Invocation,
  type Variables,
  commands,
  parseInvocation,
} from './configuration.ts';
import { type CommandContext, Interruption, type OpenedTiers } from './context.ts';
import { describe } from './describe.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { search } from './search.ts';
import { serve } from './serve.ts';
import { status } from './status.ts';
import { sync } from './sync.ts';
import { usage } from './usage.ts';

/** What the command has of its process. */
interface CommandDeps extends Omit<CommandContext, 'invocation' | 'tiers'> {
  readonly args: readonly string[];
  readonly variables: Variables;
  readonly openTiers: (invocation: Invocation) => Promise<OpenedTiers>;
}

const runners: Readonly<Record<CommandName, (context: CommandContext) => Promise<number>>> = {
  sync,
  search,
  status,
  serve,
};

/** Runs one command from its flags to its exit code; what it has opened is closed then. Never rejects. */
export async function runCommand(deps: CommandDeps): Promise<number> {
  try {
    return await dispatch(deps);
  } catch (error) {
    if (error === deps.signal.reason && error instanceof Interruption) {
      deps.stderr.write(`catalog: ${error.message}\n`);
      return error.exitCode;
    }
    deps.stderr.write(`${describe(error)}\n`);
    return exitCodeOf(error);
  }
}

async function dispatch(deps: CommandDeps): Promise<number> {
  const { stdout, stderr, signal, clock, variables, args } = deps;
  const [first, ...rest] = args;
  if (first === 'help' || first === '--help' || first === '-h') {
    const [name] = rest;
    if (name !== undefined && !isCommand(name)) return refuse(deps, name);
    stdout.write(usage(name));
    return EXIT.done;
  }
  if (first === '--version') {
    stdout.write(`${versionOf()}\n`);
    return EXIT.done;
  }
  if (first === undefined || !isCommand(first)) return refuse(deps, first);
  if (rest.includes('--help') || rest.includes('-h')) {
    stdout.write(usage(first));
    return EXIT.done;
  }
  const invocation = parseInvocation(first, rest, variables);
  const tiers = await deps.openTiers(invocation);
  try {
    return await runners[first]({ invocation, tiers, stdout, stderr, signal, clock });
  } finally {
    await tiers.close();
  }
}

/** Of the package, whose manifest is two folders up in the source as in the build. */
function versionOf(): string {
  const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
  return String(propertyOf(JSON.parse(manifest), 'version'));
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commands, name);
}

function refuse({ stderr }: CommandDeps, name: string | undefined): number {
  const seen = name === undefined ? '' : `catalog: there is no command ${JSON.stringify(name)}\n\n`;
  stderr.write(seen + usage());
  return EXIT.usage;
}
