import { type CommandName, commands } from './configuration.ts';

const EXIT_CODES = `Exit codes: 0 done; 1 failed; 2 wrong flags or configuration; 3 no tier has a generation;
4 another process syncs; 5 done, but stale, incomplete, or not everywhere; 130, 143 interrupted
(serve ends with 0 then).
`;

/** Of the whole command, or of one part of it. */
export function usage(command?: CommandName): string {
  if (command === undefined) {
    const lines = Object.entries(commands).map(
      ([name, { summary }]) => `  ${name.padEnd(8)} ${summary}\n`,
    );
    return (
      `usage: catalog <command> [flags]\n\n${lines.join('')}` +
      "  help     print this, or the flags of a command: 'catalog help sync'\n" +
      '  --version\n\n' +
      'Variables that have no flag, because flags are seen by others on the machine:\n' +
      '  ESIM_GO_API_KEY, CATALOG_SUPABASE_KEY\n\n' +
      EXIT_CODES
    );
  }
  const { summary, arguments: positionals, flags } = commands[command];
  const lines = Object.entries(flags).map(([name, { value = '', variable, help }]) => {
    const flag = `--${name} ${value}`.trimEnd();
    return `  ${flag.padEnd(26)} ${help}${variable === undefined ? '' : ` (${variable})`}\n`;
  });
  const head = ['usage: catalog', command, '[flags]', positionals].join(' ').trimEnd();
  return `${head}\n\n${summary}\n\n${lines.join('')}\n${EXIT_CODES}`;
}
