/**
 * The statements of one text, without their semicolons; those in quotes, dollar quotes and comments do
 * not part them. A text without a statement is one that is empty.
 */
export function statementsIn(sql: string): string[] {
  const piece =
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;|[^;'"$/-]+|[\s\S]/g;
  const statements: string[] = [];
  let statement = '';
  for (const [found] of sql.matchAll(piece)) {
    if (found !== ';') {
      statement += found;
      continue;
    }
    statements.push(statement.trim());
    statement = '';
  }
  statements.push(statement.trim());
  const whole = statements.filter((each) => each !== '');
  return whole.length === 0 ? [''] : whole;
}
