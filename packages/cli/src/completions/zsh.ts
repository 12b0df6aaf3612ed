import {
  type CompletedCommand,
  choicesOfOptions,
  quoted,
  wordsAfter,
} from './completed-commands.ts';

/** A script that zsh sources, or finds as `_holdfast` in its fpath. */
export function zshCompletions(commands: readonly CompletedCommand[]): string {
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  const add = (words: readonly string[]): string => `compadd -- ${words.map(quoted).join(' ')}`;
  return `#compdef holdfast
# Completions of holdfast for zsh: source <(holdfast completions zsh)
_holdfast() {
  local at='' word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      ${paths.join(' | ')}) at="$at $word" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${choicesOfOptions(commands)
  .map(({ path, choices }) => `    ${quoted(path)}) ${add(choices)}; return ;;`)
  .join('\n')}
  esac
  case "$at" in
${commands.map((each) => `    ${quoted(each.path)}) ${add(wordsAfter(each))} ;;`).join('\n')}
  esac
}
if [ "\${funcstack[1]}" = _holdfast ]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
`;
}
