import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';

/** A Markdown file that is a page of the site. */
export interface SitePage {
  /** From the root of the repository: `packages/queue/README.md`. */
  readonly source: string;
  /** On the site, without an extension: `packages/queue/index`. */
  readonly path: string;
  /** The `title` of the front matter, else the first heading. */
  readonly title: string;
  /** The `order` of the front matter, by which the pages of a folder are sorted, then by path. */
  readonly order: number;
}

/** Where TypeDoc writes the pages of the API; git ignores it. */
export const REFERENCE = 'docs/reference';

/** Folders with pages. A file of `docs` is a page, and so is the README of a package or of an example. */
const folders: readonly { readonly folder: string; readonly isPage: RegExp }[] = [
  { folder: 'docs', isPage: /^docs\/.*\.md$/ },
  { folder: 'packages', isPage: /^packages\/[^/]+\/README\.md$/ },
  { folder: 'examples', isPage: /^examples\/[^/]+\/README\.md$/ },
];
const skipped = new Set(['node_modules', 'dist', '.vitepress']);

/** The path on the site of the file at `source`, with the extension; undefined for a file that is no page. */
export function sitePathOf(source: string): string | undefined {
  if (!folders.some(({ isPage }) => isPage.test(source))) return undefined;
  return source.replace(/^docs\//, '').replace(/(^|\/)README\.md$/, '$1index.md');
}

/** All pages of the site, including those of the API if they have been generated. */
export function sitePagesIn(root: string): SitePage[] {
  return folders
    .flatMap(({ folder }) => markdownIn(root, folder))
    .flatMap((source): SitePage[] => {
      const path = sitePathOf(source);
      if (path === undefined) return [];
      const text = readFileSync(join(root, source), 'utf8');
      return [{ source, path: path.replace(/\.md$/, ''), ...descriptionOf(text, path) }];
    })
    .toSorted((a, b) => a.order - b.order || (a.path < b.path ? -1 : 1));
}

/** The sources of the pages that are written by hand: all except those of the API. */
export function writtenPagesIn(root: string): string[] {
  return folders
    .flatMap(({ folder }) => markdownIn(root, folder))
    .filter((source) => sitePathOf(source) !== undefined && !source.startsWith(`${REFERENCE}/`));
}

function markdownIn(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry): string[] => {
    if (skipped.has(entry.name)) return [];
    const path = posix.join(folder, entry.name);
    // Only the README of a package or an example is a page.
    if (entry.isDirectory()) {
      return /^(?:packages|examples)\/[^/]+\//.test(`${path}/x`) && folder.includes('/')
        ? []
        : markdownIn(root, path);
    }
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

function descriptionOf(text: string, path: string): Pick<SitePage, 'title' | 'order'> {
  const front = /^---\n(.*?)\n---\n/s.exec(text)?.[1] ?? '';
  const field = (name: string): string | undefined =>
    new RegExp(String.raw`^${name}: *['"]?(.*?)['"]? *$`, 'm').exec(front)?.[1];
  const heading = /^# +(.*)$/m.exec(text)?.[1]?.replaceAll(/[`*]|\\(?=[<>])/g, '');
  return {
    title: field('title') ?? heading ?? posix.basename(path, '.md'),
    order: Number(field('order') ?? Number.MAX_SAFE_INTEGER),
  };
}
