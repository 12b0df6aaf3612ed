// Not the global one, which a test may fake: the event loop has to take a real turn.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { GroupManifest } from '../catalog.ts';
import { IDENTITY_WORDS, NAMELESS, NameTable } from '../client/rows/name-table.ts';
import type { PageStore } from './pages/page-store.ts';
import type { PlannedGroup, PlannedPage } from './pages/plan-records.ts';

/** A page, and which of its bundles a group before it has. */
interface CountedPage {
  readonly page: PlannedPage;
  readonly duplicates: ReadonlySet<number>;
}

/** What a generation consists of, counted before a bundle of it is read. */
export interface Contents {
  readonly rows: number;
  readonly groups: readonly GroupManifest[];
  readonly pages: readonly CountedPage[];
}

const NONE: ReadonlySet<number> = new Set();

/** Counts the names of all groups, each once: the first group that has it keeps it. 32 bytes a name at most. */
export async function countContents(
  groups: readonly PlannedGroup[],
  signal: AbortSignal,
): Promise<Contents> {
  const names = new NameTable();
  const manifests: GroupManifest[] = [];
  const counted: CountedPage[] = [];
  for (const { name, generation, pages } of groups) {
    const before = names.size;
    let bundles = 0;
    for (const page of pages) {
      counted.push({ page, duplicates: addNames(names, page.identities) });
      bundles += page.bundles;
      await nextTurn();
      signal.throwIfAborted();
    }
    const rows = names.size - before;
    const duplicates = bundles - rows;
    manifests.push({ name, rows, generation, ...(duplicates === 0 ? {} : { duplicates }) });
  }
  return { rows: names.size, groups: manifests, pages: counted };
}

function addNames(names: NameTable, identities: Uint32Array): ReadonlySet<number> {
  let found: Set<number> | undefined;
  let bundle = 0;
  for (let row = 0; row * IDENTITY_WORDS < identities.length; row += 1) {
    if (identities[(row + 1) * IDENTITY_WORDS - 1] === NAMELESS) continue;
    if (names.add(identities, row, 0) !== undefined) {
      found ??= new Set();
      found.add(bundle);
    }
    bundle += 1;
  }
  return found ?? NONE;
}

/** Whether both have the same bundles in the same order. */
export function isEqualContents(one: Contents, other: Contents): boolean {
  // What is left out of a page follows from the pages before it.
  return (
    one.pages.length === other.pages.length &&
    one.pages.every(({ page: { file } }, at) => file === other.pages[at]?.page.file)
  );
}

/** The bundles of a generation as JSON in their order, a page at a time. @throws DamagedPage */
export async function* readContents(
  { pages }: Contents,
  store: PageStore,
  signal: AbortSignal,
): AsyncGenerator<readonly string[], void, undefined> {
  for (const { page, duplicates } of pages) {
    if (page.bundles === duplicates.size) continue;
    const documents = await store.read(page.file, page.bundles, signal);
    yield duplicates.size === 0 ? documents : documents.filter((_, at) => !duplicates.has(at));
  }
}
