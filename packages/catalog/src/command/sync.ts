import type { SyncOutcome } from '../sync/catalog-sync.ts';
import { CatalogUsageError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
import { createProgressDisplay } from './progress.ts';
import type { CommandContext } from './context.ts';
import { messageOf } from './describe.ts';
import { formatCount, formatDuration, printable } from './terminal.ts';

/** `catalog sync`: one generation to all tiers; how it goes is written to stderr. */
export async function sync(context: CommandContext): Promise<number> {
  const { invocation, tiers, stdout, stderr, clock, signal } = context;
  if (tiers.sync === undefined) {
    const remedy = 'Set ESIM_GO_API_KEY to the key of the eSIM Go API';
    throw new CatalogUsageError('there is no key to fetch bundles with', remedy);
  }
  const display = createProgressDisplay(stderr, clock);
  let outcome: SyncOutcome;
  try {
    outcome = await tiers.sync.run({
      signal,
      allowShrink: invocation.allowShrink,
      onProgress: (progress) => display.show(progress),
    });
  } finally {
    display.end();
  }
  outcome.index.close();
  const { manifest, failed, keptGroups, rejections } = outcome;
  stdout.write(invocation.isJson ? `${JSON.stringify(jsonOf(outcome))}\n` : summary(outcome));
  for (const { target, cause } of failed) {
    stderr.write(`catalog: not published to ${target}: ${messageOf(cause)}\n`);
  }
  for (const { name, generation, cause } of keptGroups) {
    const rows = generation === undefined ? 'is left out' : `is that of generation ${generation}`;
    stderr.write(`catalog: group ${printable(name)} ${rows}: ${messageOf(cause)}\n`);
  }
  for (const { group, report } of rejections) {
    const count = formatCount(report.rejected);
    stderr.write(`catalog: group ${printable(group)}: ${count} bundles were rejected\n`);
  }
  return manifest.complete && failed.length === 0 ? EXIT.done : EXIT.degraded;
}

function summary({ manifest, pages, reusedPages, published, durationMs }: SyncOutcome): string {
  return (
    `generation ${manifest.generation}: ${formatCount(manifest.rows)} bundles of ` +
    `${manifest.groups.length} groups, ${formatCount(pages)} pages (${formatCount(reusedPages)} known), ` +
    `in ${formatDuration(durationMs)}, to ${published.join(', ')}\n`
  );
}

function jsonOf(outcome: SyncOutcome): object {
  const { index: _index, failed, keptGroups, ...rest } = outcome;
  return {
    ...rest,
    failed: failed.map(({ target, cause }) => ({ target, cause: messageOf(cause) })),
    keptGroups: keptGroups.map(({ name, generation, cause }) => ({
      name,
      generation: generation ?? null,
      cause: messageOf(cause),
    })),
  };
}
