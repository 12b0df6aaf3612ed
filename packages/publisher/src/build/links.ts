import { posix } from 'node:path';

/** A link of a page to a file that the build does not have. */
export interface BrokenLink {
  readonly page: string;
  readonly target: string;
}

const ATTRIBUTE = /<[a-z][^>]*?\s(?:href|src|poster)\s*=\s*(?:"([^"]*)"|'([^']*)')/giu;
const SRCSET = /<[a-z][^>]*?\ssrcset\s*=\s*(?:"([^"]*)"|'([^']*)')/giu;
/** Scripts and comments show addresses that nobody follows. */
const UNFOLLOWED = /<!--[\s\S]*?-->|(<script\b[^>]*>)[\s\S]*?<\/script>/giu;
/** Another origin, a fragment, or a scheme such as `mailto:`. */
const ELSEWHERE = /^(?:[a-z][a-z0-9+.-]*:|\/\/|#|$)/iu;

/** The paths within the site that a page links to. */
export function linksOf(page: string, html: string): readonly string[] {
  const text = html.replace(UNFOLLOWED, '$1');
  const found = [...text.matchAll(ATTRIBUTE)].map(([, double, single]) => double ?? single ?? '');
  for (const [, double, single] of text.matchAll(SRCSET)) {
    const sources = (double ?? single ?? '').split(',');
    found.push(...sources.map((source) => source.trim().split(/\s/)[0] ?? ''));
  }
  const targets = found
    .map((target) => target.trim())
    .filter((target) => !ELSEWHERE.test(target))
    .map((target) => resolve(page, target));
  return [...new Set(targets)];
}

/** The links of all pages to what is not there. */
export function brokenLinksOf(
  pages: ReadonlyMap<string, string>,
  paths: ReadonlySet<string>,
): readonly BrokenLink[] {
  const broken: BrokenLink[] = [];
  for (const [page, html] of pages) {
    for (const target of linksOf(page, html)) {
      if (fileFor(target, paths) === undefined) broken.push({ page, target });
    }
  }
  return broken;
}

/** The file that a server of static files sends for a path; `undefined` when there is none. */
export function fileFor(path: string, paths: { has(path: string): boolean }): string | undefined {
  const name = path.replace(/^\//, '');
  const candidates =
    name === '' || name.endsWith('/')
      ? [`${name}index.html`]
      : [name, `${name}/index.html`, `${name}.html`];
  return candidates.find((candidate) => paths.has(candidate));
}

function resolve(page: string, target: string): string {
  const [withoutFragment = ''] = target.split(/[?#]/);
  const isDirectory = withoutFragment.endsWith('/');
  const base = withoutFragment.startsWith('/') ? '/' : `/${posix.dirname(page)}`;
  const joined = posix.join(base, decoded(withoutFragment));
  return isDirectory && !joined.endsWith('/') ? `${joined}/` : joined;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
