import type { Command } from 'commander';

/** An option as shells complete it. */
interface CompletedOption {
  /** Such as `--stage`. */
  readonly flag: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** Its values; empty when it takes any. */
  readonly choices: readonly string[];
}

/** A command as shells complete it. */
export interface CompletedCommand {
  /** The words that lead to it, each after a space: `''` or ` stage up`. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly CompletedOption[];
  /** The values of its arguments. */
  readonly choices: readonly string[];
}

/** A command and all below it. */
export function completedCommands(command: Command, path = ''): CompletedCommand[] {
  const help = command.createHelp();
  const children = help.visibleCommands(command).filter((child) => child.name() !== 'help');
  const own: CompletedCommand = {
    path,
    commands: children.map((child) => ({
      name: child.name(),
      description: help.subcommandDescription(child),
    })),
    options: help.visibleOptions(command).map((option) => ({
      flag: option.long ?? option.short ?? '',
      description: option.description,
      takesValue: option.required || option.optional,
      choices: option.argChoices ?? [],
    })),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  };
  const below = children.flatMap((child) => completedCommands(child, `${path} ${child.name()}`));
  return [own, ...below];
}

/** The words that may follow a command. */
export function wordsAfter({ commands, options, choices }: CompletedCommand): string[] {
  return [...commands.map(({ name }) => name), ...choices, ...options.map(({ flag }) => flag)];
}

/** Options with a fixed set of values, each with the words that lead to it. */
export function choicesOfOptions(
  commands: readonly CompletedCommand[],
): { readonly path: string; readonly choices: readonly string[] }[] {
  return commands.flatMap(({ path, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(({ flag, choices }) => ({ path: `${path} ${flag}`, choices })),
  );
}

/** A text that a shell takes as it is; also as a pattern of `case`. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
