import type { GenerationManifest } from '../catalog.ts';
import type { GenerationStore } from '../generations/generation-store.ts';
import type { TargetFailure } from './catalog-sync.ts';
import type { CatalogSyncSettings } from './options.ts';

/** What is published, as far as anyone answers. */
export interface Survey {
  /** The newest. */
  readonly previous: GenerationManifest | undefined;
  /** The highest ones. */
  readonly token: number;
  readonly generation: number;
  readonly stores: readonly GenerationStore[];
  /** Stores that did not answer: this sync goes on without them. */
  readonly failed: readonly TargetFailure[];
}

/**
 * Asks the stores, and for the name of the newest backup.
 * @param before what is known; stores that did not answer then are not asked again.
 */
export async function surveyGenerations(
  { backup }: CatalogSyncSettings,
  own: GenerationManifest | undefined,
  before: Pick<Survey, 'stores' | 'failed'>,
  signal: AbortSignal,
): Promise<Survey> {
  const { stores } = before;
  const answers = await Promise.allSettled(stores.map((store) => store.current({ signal })));
  signal.throwIfAborted();
  const manifests = own === undefined ? [] : [own];
  const failed = [...before.failed];
  answers.forEach((answer, at) => {
    if (answer.status === 'rejected') {
      failed.push({ target: stores[at]?.name ?? '', cause: answer.reason });
    } else if (answer.value !== undefined) manifests.push(answer.value);
  });
  // A backup that cannot be read is no reason to write none.
  const file = await backup?.newest().catch(() => undefined);
  let generation = highest(manifests.map((manifest) => manifest.generation));
  if (file !== undefined && file.generation > generation) {
    const reader = await backup?.open({ signal }).catch(() => undefined);
    if (reader !== undefined) manifests.push(reader.manifest);
    await reader?.close();
    generation = file.generation;
  }
  signal.throwIfAborted();
  const [previous] = manifests.toSorted((one, other) => other.generation - one.generation);
  return {
    previous,
    token: highest([file?.token ?? 0, ...manifests.map(({ token }) => token)]),
    generation,
    stores: stores.filter((_, at) => answers[at]?.status === 'fulfilled'),
    failed,
  };
}

function highest(numbers: readonly number[]): number {
  return Math.max(0, ...numbers);
}
