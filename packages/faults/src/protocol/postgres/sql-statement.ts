/** What a refusal looks at. */
export interface SqlStatement {
  /** Its first word in lower case; for `with`, what the statement does in the end. Empty without one. */
  readonly verb: string;
  readonly sql: string;
}

const LEADING = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\()*([A-Za-z]+)/;
const CHANGING = /\b(insert|update|delete|merge)\b/i;

/** Told by its words alone: what a function does is not seen, and a list of statements is its first. */
export function parseStatement(sql: string): SqlStatement {
  const first = LEADING.exec(sql)?.[1]?.toLowerCase() ?? '';
  if (first !== 'with') return { verb: first, sql };
  return { verb: CHANGING.exec(sql)?.[1]?.toLowerCase() ?? 'select', sql };
}
