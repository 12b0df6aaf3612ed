import { Argument, Command } from 'commander';
import { bashCompletions } from '../completions/bash.ts';
import { type CompletedCommand, completedCommands } from '../completions/completed-commands.ts';
import { fishCompletions } from '../completions/fish.ts';
import { zshCompletions } from '../completions/zsh.ts';
import type { CliContext } from '../context.ts';

type Shell = 'bash' | 'zsh' | 'fish';

const scripts: Readonly<Record<Shell, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashCompletions,
  zsh: zshCompletions,
  fish: fishCompletions,
};

/** `holdfast completions`. */
export function completionsCommand({ stdout }: CliContext): Command {
  return new Command('completions')
    .description('Prints a script that completes the words of this command in a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
Load it in bash:  source <(holdfast completions bash)
        in zsh:   source <(holdfast completions zsh)
        in fish:  holdfast completions fish | source`,
    )
    .action((shell: Shell, _options: object, command: Command) => {
      stdout.write(scripts[shell](completedCommands(command.parent ?? command)));
    });
}
