import type { CompletedCommand } from './completed-commands.ts';

/** A script that fish sources. */
export function fishCompletions(commands: readonly CompletedCommand[]): string {
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  return `# Completions of holdfast for fish: holdfast completions fish | source
function __holdfast_at
  set -l at ''
  set -l words (commandline -opc)
  for word in $words[2..-1]
    switch "$at $word"
      case ${paths.join(' ')}
        set at "$at $word"
    end
  end
  test "$at" = "$argv[1]"
end
complete -c holdfast -f
${commands.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ path, commands, options, choices }: CompletedCommand): string[] {
  const head = `complete -c holdfast -n ${quoted(`__holdfast_at ${quoted(path)}`)}`;
  return [
    ...commands.map(
      ({ name, description }) => `${head} -a ${quoted(name)} -d ${quoted(description)}`,
    ),
    ...choices.map((choice) => `${head} -a ${quoted(choice)}`),
    ...options.map(({ flag, description, takesValue, choices: values }) => {
      const value = values.length > 0 ? ` -x -a ${quoted(values.join(' '))}` : ' -r -F';
      return `${head} -l ${flag.slice(2)}${takesValue ? value : ''} -d ${quoted(description)}`;
    }),
  ];
}

/** Of fish, in which a quote is escaped inside of quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
