import { parseQueryString } from '../search/query/parse-query.ts';
import { EXIT } from './exit-codes.ts';
import type { CommandContext } from './context.ts';
import { type TableRow, formatCount, formatDuration, table, widthOf } from './terminal.ts';

/** Countries of a row of the table. */
const MAX_COUNTRIES = 6;

/** `catalog search`: bundles of the newest generation that is at hand. */
export async function search(context: CommandContext): Promise<number> {
  const { invocation, tiers, stdout, stderr, signal } = context;
  const parameters = new URLSearchParams([...invocation.filters]);
  if (invocation.words.length > 0) parameters.set('text', invocation.words.join(' '));
  // Before anything is opened; the same message as over HTTP.
  const { offset } = parseQueryString(parameters);
  const query = Object.fromEntries(
    Object.entries(parseQueryString(parameters)).filter(([, value]) => value !== undefined),
  );
  const catalog = tiers.openCatalog(false);
  try {
    const { origin, total, rows, facets } = await catalog.search(query, { signal });
    if (invocation.isJson) {
      stdout.write(`${JSON.stringify({ origin, total, offset, bundles: rows, facets })}\n`);
      return EXIT.done;
    }
    const lines: TableRow[] = rows.map((row) => [
      row.name,
      row.price.toFixed(2),
      row.unlimited ? 'unlimited' : `${formatCount(row.dataAmount)} MB`,
      `${row.duration} d`,
      shortened(row.countries),
    ]);
    const width = widthOf(stdout);
    if (lines.length > 0) stdout.write(table(lines, width, [1, 2, 3]));
    for (const [facet, counts] of Object.entries(facets)) {
      const head: TableRow = [facet, ''];
      const values = counts.map(({ value, count }): TableRow => [`  ${value}`, formatCount(count)]);
      stdout.write(table([head, ...values], width, [1]));
    }
    const age = formatDuration(origin.ageMs);
    const marks = `${origin.stale ? ', stale' : ''}${origin.complete ? '' : ', incomplete'}`;
    stderr.write(
      `${formatCount(rows.length)} of ${formatCount(total)} bundles; generation ` +
        `${origin.generation} from ${origin.source}, ${age} old${marks}\n`,
    );
    return EXIT.done;
  } finally {
    await catalog.close();
  }
}

function shortened(countries: readonly string[]): string {
  const more = countries.length - MAX_COUNTRIES;
  const shown = countries.slice(0, MAX_COUNTRIES).join(' ');
  return more > 0 ? `${shown} +${more}` : shown;
}
