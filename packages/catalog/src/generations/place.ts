import { integer } from '@holdfast/foundation';
import type { GenerationManifest } from '../catalog.ts';
import { CatalogStoreError } from './errors.ts';
import type { GenerationPlace } from './generation-store.ts';

const count = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

/** @throws InvalidOptionError */
export function checkPlace(place: GenerationPlace): void {
  for (const field of ['generation', 'token'] as const) count.parse(place[field], field, 'stage');
}

/** @throws CatalogStoreError when a manifest tells of another generation, or of other rows, than what was staged */
export function checkManifestOf(
  manifest: GenerationManifest,
  { generation, token }: GenerationPlace,
  rows: number,
  store: string,
): void {
  if (manifest.generation !== generation || manifest.token !== token) {
    const seen = `has staged generation ${generation} of token ${token}, not ${manifest.generation} of ${manifest.token}`;
    throw new CatalogStoreError(store, 'refused', seen);
  }
  if (manifest.rows === rows) return;
  const seen = `was given ${rows} rows of the ${manifest.rows} of generation ${generation}`;
  throw new CatalogStoreError(store, 'refused', seen);
}
