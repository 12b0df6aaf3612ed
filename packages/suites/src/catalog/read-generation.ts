import type { Bundle, GenerationStore } from '@holdfast/catalog';

/** All bundles of what is published, and the generation that it says to be. */
export async function readGeneration(
  store: Pick<GenerationStore, 'open'>,
): Promise<{ readonly generation: number | undefined; readonly bundles: readonly Bundle[] }> {
  const reader = await store.open();
  if (reader === undefined) return { generation: undefined, bundles: [] };
  const bundles: Bundle[] = [];
  for await (const part of reader.readAll()) bundles.push(...part);
  await reader.close();
  return { generation: reader.manifest.generation, bundles };
}
