/**
 * The statements of one text, without their semicolons; semicolons in quotes, dollar quotes and comments do not
 * count. A text without a statement is one empty statement.
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
  const nonEmpty = statements.filter((each) => each !== '');
  return nonEmpty.length === 0 ? [''] : nonEmpty;
}
