/** How a failed test is played again; each placeholder may occur any number of times. */
export const DEFAULT_REPLAY = 'npx jest {file} --testNamePattern {name}';

/**
 * Fills `{file}` and `{name}` of a command. The name is escaped as a regular expression and quoted for a POSIX
 * shell, so that the command can be pasted whatever the test is called.
 */
export function replayCommand(template: string, file: string, name: string): string {
  const pattern = `${name.replaceAll(/[\\^$.*+?()[\]{}|]/g, (mark) => `\\${mark}`)}$`;
  const values: Readonly<Record<string, string>> = { file: quote(file), name: quote(pattern) };
  return template.replaceAll(/\{(file|name)\}/g, (_, key: string) => values[key] ?? '');
}

function quote(text: string): string {
  return /^[\w./@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
