/** What decides whether a statement is refused. */
export interface SqlStatement {
  /** The first word in lower case; for `with`, the verb of the main statement. Empty when there is none. */
  readonly verb: string;
  readonly sql: string;
  /** The first word of each of several statements. */
  readonly verbs: readonly string[];
}

/** Comments, literals, quoted names and dollar quotes, then the words and the ends of statements. */
const TOKEN =
  /--[^\n]*|\/\*|[eE]'(?:\\[\s\S]|''|[^'\\])*'?|'(?:''|[^'])*'?|"(?:""|[^"])*"?|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|;/g;
const CHANGING = new Set(['insert', 'update', 'delete', 'merge']);

/** Reads the words only: it does not know what a function does. */
export function parseStatement(sql: string): SqlStatement {
  const statements: string[][] = [[]];
  for (const token of tokensOf(sql)) {
    if (token === ';') statements.push([]);
    else statements.at(-1)?.push(token);
  }
  const verbs = statements.filter((words) => words.length > 0).map(verbOf);
  return { verb: verbs[0] ?? '', sql, verbs };
}

function verbOf(words: readonly string[]): string {
  const [first = ''] = words;
  if (first !== 'with') return first;
  return words.find((word) => CHANGING.has(word)) ?? 'select';
}

/** Returns the words of a text in lower case, and its semicolons. */
function* tokensOf(sql: string): Generator<string, void> {
  const token = new RegExp(TOKEN);
  for (let found = token.exec(sql); found !== null; found = token.exec(sql)) {
    const [text] = found;
    if (text === '/*') token.lastIndex = commentEnd(sql, token.lastIndex);
    else if (text.startsWith('$')) {
      const close = sql.indexOf(text, token.lastIndex);
      token.lastIndex = close === -1 ? sql.length : close + text.length;
    } else if (text === ';' || (/^[A-Za-z_\u0080-\uffff]/.test(text) && !text.endsWith("'"))) {
      yield text.toLowerCase();
    }
  }
}

/** Returns where a comment ends; comments are nested. */
function commentEnd(sql: string, from: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = from;
  let depth = 1;
  for (let found = edge.exec(sql); found !== null; found = edge.exec(sql)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return sql.length;
}
