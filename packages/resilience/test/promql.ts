/** What a query asks for. */
export interface Query {
  readonly metrics: readonly string[];
  /** What is matched, grouped or listed by. */
  readonly labels: readonly string[];
  /** The metrics whose rate is taken. */
  readonly rated: readonly string[];
}

const functions = new Set(['rate', 'sum', 'time']);
const operators = new Set(['and', 'or', 'unless']);
const partners: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/**
 * Reads a PromQL query, or one of Grafana's `label_values`, as far as is needed to hold it to what is
 * exported. Throws at an unknown function, an unfinished string, a bracket without its partner and
 * whatever is left over.
 */
export function readQuery(query: string): Query {
  const labels: string[] = [];
  const metrics: string[] = [];
  const [, listed, listedBy] = /^label_values\((.*),\s*(\w+)\)$/.exec(query) ?? [];
  if (listedBy !== undefined) labels.push(listedBy);
  let text = listed ?? query;
  /** Takes every match out of the text. */
  const take = (pattern: RegExp, seen: (found: string) => void): void => {
    text = text.replaceAll(pattern, (_, found: string) => {
      seen(found);
      return ' ';
    });
  };
  const refuse = (what: string): never => {
    throw new Error(`${what} in ${query}`);
  };

  take(/__name__=~"([\w|]+)",?/g, (names) => metrics.push(...names.split('|')));
  text = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  if ((text.match(/"/g) ?? []).length % 2 === 1) refuse('an unfinished string');
  if (!isBalanced(text)) refuse('a bracket without its partner');
  const rated = Array.from(
    text.matchAll(/\brate\((\w+)(?:\{[^}]*\})?\[\d+[smhd]\]\)/g),
    (found) => {
      return found[1] ?? '';
    },
  );
  take(/(\w+)\s*(?:=~|!~|!=|=)\s*""\s*,?/g, (label) => labels.push(label));
  text = text.replaceAll(/\{\s*\}|\[\d+[smhd]\]/g, ' ');
  take(/\bby\s*\(([\w,\s]+)\)/g, (grouped) => labels.push(...grouped.split(/\s*,\s*/)));
  take(/\b([a-z_]\w*)\s*\(/gi, (name) => {
    if (!functions.has(name) && !operators.has(name))
      refuse(`${name}, which is no known function,`);
  });
  take(/\b([a-z_]\w*)\b/gi, (name) => {
    if (!operators.has(name) && !functions.has(name)) metrics.push(name);
  });
  if (/[^\s\d()+\-*/<>=!.]/.test(text)) refuse(`what is not understood, ${text.trim()},`);
  return { metrics: unique(metrics), labels: unique(labels), rated: unique(rated) };
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}

function isBalanced(text: string): boolean {
  const open: string[] = [];
  for (const [bracket] of text.matchAll(/[()[\]{}]/g)) {
    const partner = partners[bracket];
    if (partner === undefined) open.push(bracket);
    else if (open.pop() !== partner) return false;
  }
  return open.length === 0;
}
