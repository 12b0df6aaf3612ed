import type { GenerationManifest } from '../catalog.ts';
import { EXIT } from './exit-codes.ts';
import type { CommandContext } from './context.ts';
import { messageOf } from './describe.ts';
import { type TableRow, formatCount, formatDuration, table, widthOf } from './terminal.ts';

interface TierState {
  readonly tier: string;
  readonly manifest: GenerationManifest | undefined;
  readonly error: unknown;
}

/** `catalog status`: what each tier has. */
export async function status(context: CommandContext): Promise<number> {
  const { invocation, tiers, stdout, signal, clock } = context;
  const states = await Promise.all(
    tiers.manifests.map(async ({ tier, read }): Promise<TierState> => {
      try {
        return { tier, manifest: await read(signal), error: undefined };
      } catch (error) {
        signal.throwIfAborted();
        return { tier, manifest: undefined, error };
      }
    }),
  );
  const ageOf = ({ syncedAtEpochMs }: GenerationManifest): number =>
    Math.max(0, clock.epochMs() - syncedAtEpochMs);
  const found = states.flatMap(({ manifest }) => (manifest === undefined ? [] : [manifest]));
  const newest = found.toSorted((left, right) => right.generation - left.generation)[0];
  if (invocation.isJson) {
    const printed = states.map(({ tier, manifest, error }) => ({
      tier,
      manifest: manifest ?? null,
      error: error === undefined ? null : messageOf(error),
    }));
    stdout.write(`${JSON.stringify(printed)}\n`);
  } else {
    const rows = states.map(({ tier, manifest, error }): TableRow => {
      if (error !== undefined) return [tier, '-', '-', '-', messageOf(error)];
      if (manifest === undefined) return [tier, '-', '-', '-', 'has no generation yet'];
      const { generation, rows: count, complete } = manifest;
      const state = generation < (newest?.generation ?? 0) ? 'behind' : 'newest';
      const age = formatDuration(ageOf(manifest));
      const note = `${state}${complete ? '' : ', incomplete'}`;
      return [tier, String(generation), formatCount(count), age, note];
    });
    const head: TableRow = ['tier', 'generation', 'bundles', 'age', ''];
    stdout.write(table([head, ...rows], widthOf(stdout), [1, 2, 3]));
  }
  if (newest === undefined) return EXIT.unavailable;
  const isBehind = states.some(({ manifest }) => manifest?.generation !== newest.generation);
  const isStale = ageOf(newest) > tiers.ttlMs;
  return isBehind || isStale || !newest.complete ? EXIT.degraded : EXIT.done;
}
