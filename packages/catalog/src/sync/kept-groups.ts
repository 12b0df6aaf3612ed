import type { Bundle, GenerationManifest } from '../catalog.ts';
import { encodeChunk } from '../documents/chunk.ts';
import { newIdentities } from './page-fetch.ts';
import type { PlannedGroup, PlannedPage } from './pages/plan-records.ts';
import type { SyncPlan } from './pages/sync-plan.ts';

/** Where a generation can be read: the part of a reader that a store and the backup share. */
interface ReadGeneration {
  readonly manifest: GenerationManifest;
  readAll(options: { signal: AbortSignal }): AsyncGenerator<readonly Bundle[]>;
  close(): Promise<void>;
}

export type OpenGeneration = (signal: AbortSignal) => Promise<ReadGeneration | undefined>;

interface KeptGroupDeps {
  readonly plan: SyncPlan;
  readonly previous: GenerationManifest | undefined;
  readonly sources: readonly OpenGeneration[];
  readonly signal: AbortSignal;
}

/**
 * The pages of a group as the generation before has them: this process' own, or else as the first source that has that
 * generation tells; `undefined` if it is nowhere. Its names that a group before it had are those of that group.
 */
export async function keepGroup(
  name: string,
  deps: KeptGroupDeps,
): Promise<PlannedGroup | undefined> {
  const { plan, previous, sources, signal } = deps;
  const expected = previous?.groups.find((group) => group.name === name)?.generation;
  const own = plan.lastGroup(name);
  await plan.drop(name);
  if (own !== undefined && own.generation === (expected ?? own.generation)) {
    return addPages(own, plan);
  }
  for (const open of sources) {
    try {
      const group = await readGroup(name, open, deps);
      if (group !== undefined) return group;
    } catch {
      // The next one may have it.
      signal.throwIfAborted();
      await plan.drop(name);
    }
  }
  return own === undefined ? undefined : addPages(own, plan);
}

/** They were not asked for in this sync, and after a crash they are. */
async function addPages(group: PlannedGroup, plan: SyncPlan): Promise<PlannedGroup> {
  const pages = group.pages.map((page) => ({ ...page, paging: undefined }));
  for (const page of pages) await plan.add(page);
  return { ...group, pages };
}

async function readGroup(
  name: string,
  open: OpenGeneration,
  { plan, previous, signal }: KeptGroupDeps,
): Promise<PlannedGroup | undefined> {
  const reader = await open(signal);
  if (reader === undefined) return undefined;
  try {
    const { generation, groups } = reader.manifest;
    const at = groups.findIndex((group) => group.name === name);
    const group = groups[at];
    if (group === undefined || generation !== previous?.generation) return undefined;
    const first = groups.slice(0, at).reduce((rows, each) => rows + each.rows, 0);
    const pages: PlannedPage[] = [];
    let row = 0;
    for await (const part of reader.readAll({ signal })) {
      const bundles = part.slice(Math.max(0, first - row), Math.max(0, first + group.rows - row));
      row += part.length;
      if (bundles.length > 0) pages.push(await addBundles(name, pages.length, bundles, plan));
      if (row >= first + group.rows) break;
    }
    if (row < first + group.rows) throw new RangeError(`${row} rows of ${first + group.rows}`);
    return { name, generation: group.generation, pages };
  } finally {
    await reader.close();
  }
}

async function addBundles(
  group: string,
  page: number,
  bundles: readonly Bundle[],
  plan: SyncPlan,
): Promise<PlannedPage> {
  const file = await plan.store.put(await encodeChunk(bundles));
  const { length } = bundles;
  const planned: PlannedPage = {
    group,
    page,
    file,
    // It is no page of the API, and like none.
    sha256: '',
    rows: length,
    rejected: 0,
    bundles: length,
    identities: newIdentities(bundles),
    stated: { rows: undefined, pageCount: undefined },
  };
  await plan.add(planned);
  return planned;
}
