import { existsSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { sitePathOf } from './pages.ts';
import { linkTo } from './sidebar.ts';

/** What links can lead to. */
export interface LinkedSite {
  /** The root of the repository. */
  readonly root: string;
  /** Its address on the web. */
  readonly web: string;
  /** The pages of the API, which may not be generated yet. */
  readonly references: ReadonlySet<string>;
}

/** A link that leads nowhere, which fails the build. */
export class DeadLinkError extends Error {
  readonly code = 'SITE_DEAD_LINK';
  override readonly name = 'DeadLinkError';

  constructor(source: string, href: string) {
    super(`${source} links to '${href}', which is neither a page nor a file of the repository`);
  }
}

/**
 * The link of a page as the site has it. On GitHub a link is relative to the file: to a page it leads to that page
 * here, to any other file or folder of the repository it leads to that file on the web.
 *
 * @throws {DeadLinkError} when nothing is there.
 */
export function siteLink(
  { root, web, references }: LinkedSite,
  source: string,
  href: string,
): string {
  if (/^(?:[a-z][a-z0-9+.-]*:|\/|#)/i.test(href)) return href;
  const [, path = '', hash = ''] = /^([^#?]*)(.*)$/s.exec(href) ?? [];
  const target = posix.join(posix.dirname(source), decodeURI(path)).replace(/\/$/, '');
  for (const page of [target, `${target}.md`, `${target}/README.md`, `${target}/index.md`]) {
    const sitePath = sitePathOf(page);
    if (sitePath === undefined) continue;
    if (!references.has(page) && !existsSync(join(root, page))) continue;
    return linkTo(sitePath.replace(/\.md$/, '')) + hash;
  }
  const stats = statSync(join(root, target), { throwIfNoEntry: false });
  if (stats === undefined || target.startsWith('..')) throw new DeadLinkError(source, href);
  return `${web}/${stats.isDirectory() ? 'tree' : 'blob'}/main/${target}${hash}`;
}
