import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A module that a published package exports. */
export interface EntryPoint {
  /** As it is imported: `@holdfast/queue/bullmq`. */
  readonly specifier: string;
  /** The folder of the package: `queue`. */
  readonly package: string;
  /** The absolute path of its source. */
  readonly file: string;
}

/** The entry points of the published packages under `root`, by name. */
export function entryPointsIn(root: string): EntryPoint[] {
  return readdirSync(join(root, 'packages'))
    .toSorted()
    .flatMap((folder) => {
      const path = join(root, 'packages', folder, 'package.json');
      const manifest: unknown = JSON.parse(readFileSync(path, 'utf8'));
      if (fieldOf(manifest, 'private') === true) return [];
      return Object.entries(fieldOf(manifest, 'exports') ?? {}).flatMap(
        ([key, source]: [string, unknown]): EntryPoint[] => {
          if (typeof source !== 'string' || !source.endsWith('.ts')) return [];
          const specifier = String(fieldOf(manifest, 'name')) + key.slice(1);
          return [{ specifier, package: folder, file: join(root, 'packages', folder, source) }];
        },
      );
    });
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}
