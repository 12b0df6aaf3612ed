import {
  type CompletedCommand,
  choicesOfOptions,
  quoted,
  wordsAfter,
} from './completed-commands.ts';

/** A script that bash sources. */
export function bashCompletions(commands: readonly CompletedCommand[]): string {
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  const reply = (words: readonly string[]): string =>
    `COMPREPLY=($(compgen -W ${quoted(words.join(' '))} -- "$current"))`;
  return `# Completions of holdfast for bash: source <(holdfast completions bash)
_holdfast() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} at='' i
  for ((i = 1; i < COMP_CWORD; i += 1)); do
    case "$at \${COMP_WORDS[i]}" in
      ${paths.join(' | ')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$at $previous" in
${choicesOfOptions(commands)
  .map(({ path, choices }) => `    ${quoted(path)}) ${reply(choices)}; return ;;`)
  .join('\n')}
  esac
  case "$at" in
${commands.map((each) => `    ${quoted(each.path)}) ${reply(wordsAfter(each))} ;;`).join('\n')}
  esac
}
complete -o default -F _holdfast holdfast
`;
}
