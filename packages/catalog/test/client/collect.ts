import type {
  CatalogClient,
  CatalogItem,
  CatalogPage,
  FetchBundlesOptions,
} from '@holdfast/catalog';

interface Collected {
  readonly items: readonly CatalogItem[];
  /** Of each group that was fetched, the names of the bundles that its final pages have. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  readonly failed: Readonly<Record<string, Error>>;
}

/** Fetches all, and puts the pages together as the end of each group tells. */
export async function collect(
  client: CatalogClient,
  options?: FetchBundlesOptions,
): Promise<Collected> {
  const items: CatalogItem[] = [];
  const names: Record<string, readonly string[]> = {};
  const failed: Record<string, Error> = {};
  const pages = new Map<string, CatalogPage>();
  for await (const item of client.fetchBundles(options)) {
    items.push(item);
    if (item.kind === 'page') pages.set(`${item.group}/${item.page}`, item);
    else if (item.kind === 'failed') failed[item.group] = item.error;
    else {
      names[item.group] = item.pages.flatMap(({ page, sha256 }) => {
        const stored = pages.get(`${item.group}/${page}`);
        if (stored?.sha256 !== sha256) throw new Error(`page ${page} is another one`);
        return stored.bundles?.map(({ name }) => name) ?? [];
      });
    }
  }
  return { items, names, failed };
}
