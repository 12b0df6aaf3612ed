/** What decides whether a statement is refused. */
export interface SqlStatement {
  /** The first word in lower case; for `with`, the verb of the main statement. Empty when there is none. */
  readonly verb: string;
  readonly sql: string;
}

const LEADING = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\()*([A-Za-z]+)/;
const CHANGING = /\b(insert|update|delete|merge)\b/i;

/** Reads the words only: it does not know what a function does, and of several statements it reads the first. */
export function parseStatement(sql: string): SqlStatement {
  const first = LEADING.exec(sql)?.[1]?.toLowerCase() ?? '';
  if (first !== 'with') return { verb: first, sql };
  return { verb: CHANGING.exec(sql)?.[1]?.toLowerCase() ?? 'select', sql };
}
