import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** The public methods of a class of the installed storage-js, and the names of all their options. */
export type ClientSurface = Readonly<Record<string, readonly string[]>>;

/** Reads the declarations, because options leave no trace at run time. */
export function surfaceOf(...classes: readonly string[]): ClientSurface {
  const text = declarations();
  const methods = classes.flatMap((name) => methodsOf(text, name));
  return Object.fromEntries(methods);
}

function declarations(): string {
  const own = createRequire(import.meta.url);
  const client = createRequire(own.resolve('@supabase/supabase-js'));
  const entry = client.resolve('@supabase/storage-js');
  return readFileSync(join(entry, '../index.d.mts'), 'utf8')
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '')
    .replaceAll('=>', '⇒');
}

function methodsOf(text: string, name: string): [string, string[]][] {
  const body = blockAfter(text, new RegExp(`class ${name}\\b[^{]*`));
  return split(body, ';').flatMap((member): [string, string[]][] => {
    const signature = /^\s*(?:get )?(\w+)\s*([<(][^]*)$/.exec(member);
    const [, method = '', rest = ''] = signature ?? [];
    if (signature === null || method === 'constructor') return [];
    const generic = rest.startsWith('<') ? within(rest, 0) : '';
    const opened = rest.indexOf('(', generic.length === 0 ? 0 : generic.length + 1);
    const parameters = split(within(rest, opened), ',').map((parameter) =>
      parameter.slice(parameter.indexOf(':') + 1),
    );
    const options = [generic, ...parameters].flatMap((type) => namesIn(text, type));
    return [[method, [...new Set(options)].toSorted()]];
  });
}

/** The names of the fields of a type: of a literal, or of an interface that it names. */
function namesIn(text: string, type: string): string[] {
  return split(type, '|').flatMap((part) => {
    const brace = part.indexOf('{');
    if (brace !== -1) return fieldsIn(within(part, brace));
    const named = /^\s*(\w*(?:Options|Parameters))\s*$/.exec(part)?.[1];
    return named === undefined ? [] : fieldsOf(text, named);
  });
}

function fieldsOf(text: string, name: string): string[] {
  const parent = new RegExp(`interface ${name} extends (\\w+)`).exec(text)?.[1];
  const inherited = parent === undefined ? [] : fieldsOf(text, parent);
  const found = new RegExp(`interface ${name}\\b`).test(text);
  if (!found) return [];
  return [...inherited, ...fieldsIn(blockAfter(text, new RegExp(`interface ${name}\\b[^{]*`)))];
}

function fieldsIn(block: string): string[] {
  return split(block, ';').flatMap((field) => /^\s*(\w+)\??\s*:/.exec(field)?.[1] ?? []);
}

function blockAfter(text: string, head: RegExp): string {
  const found = head.exec(text);
  if (found === null) throw new TypeError(`the declarations have no ${head.source}`);
  return within(text, found.index + found[0].length);
}

const closing: Readonly<Record<string, string>> = { '{': '}', '(': ')', '<': '>', '[': ']' };

/** What stands between the bracket at `from` and its end. */
function within(text: string, from: number): string {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const mark = text[at] ?? '';
    if (mark in closing) depth += 1;
    else if (Object.values(closing).includes(mark)) depth -= 1;
    if (depth === 0) return text.slice(from + 1, at);
  }
  return '';
}

/** The parts between the separators that stand in no bracket. */
function split(text: string, separator: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const mark of text) {
    if (mark in closing) depth += 1;
    else if (Object.values(closing).includes(mark)) depth -= 1;
    if (mark === separator && depth === 0) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${mark}`);
  }
  return parts;
}
