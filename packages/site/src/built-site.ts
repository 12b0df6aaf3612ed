import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The file of the built site that a URL path leads to; undefined when there is none. */
export function builtFileOf(folder: string, path: string): string | undefined {
  const name = decodeURI(path)
    .replace(/[?#].*$/s, '')
    .replace(/^\//, '');
  return [name, `${name}.html`, join(name, 'index.html')]
    .map((each) => join(folder, each))
    .find((file) => existsSync(file) && statSync(file).isFile());
}

/**
 * The links of the built pages that lead to no page, or to a heading that the page does not have, as `page: link`.
 *
 * @param isLeftOut whether the page at a path is none of this build.
 */
export function brokenLinksIn(
  folder: string,
  isLeftOut: (path: string) => boolean = () => false,
): string[] {
  const ids = new Map<string, ReadonlySet<string>>();
  const idsOf = (file: string): ReadonlySet<string> => {
    const known = ids.get(file) ?? new Set(matchesIn(file, / id="([^"]*)"/g));
    ids.set(file, known);
    return known;
  };
  const pages = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.html') && path !== '404.html')
    .toSorted();
  return pages.flatMap((page) => {
    const file = join(folder, page);
    return [...new Set(matchesIn(file, /<a [^>]*?href="([^"]*)"/g))].flatMap((link) => {
      if (!/^[/#]/.test(link) || isLeftOut(link)) return [];
      const [path = '', hash = ''] = link.replaceAll('&amp;', '&').split('#');
      const target = path === '' ? file : builtFileOf(folder, path);
      if (target === undefined) return [`${page}: ${link}`];
      const isThere = hash === '' || idsOf(target).has(decodeURIComponent(hash));
      return isThere ? [] : [`${page}: ${link}`];
    });
  });
}

function matchesIn(file: string, pattern: RegExp): string[] {
  return [...readFileSync(file, 'utf8').matchAll(pattern)].map(([, value = '']) => value);
}
