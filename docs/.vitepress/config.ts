import { join, relative } from 'node:path';
import { defineConfig } from 'vitepress';
import manifest from '../../package.json' with { type: 'json' };
import {
  REFERENCE,
  entryPointsIn,
  referencePageOf,
  sidebarOf,
  siteLink,
  sitePagesIn,
  sitePathOf,
} from '../../packages/site/src/index.ts';

const root = join(import.meta.dirname, '../..');
const web = manifest.repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
/** `HOLDFAST_SITE=written`: only the pages that are written by hand, as a test wants them. */
const isWritten = process.env['HOLDFAST_SITE'] === 'written';
const pages = sitePagesIn(root).filter(
  ({ source }) => !isWritten || !source.startsWith(`${REFERENCE}/`),
);
const site = { root, web, references: new Set(entryPointsIn(root).map(referencePageOf)) };

/** On a phone a long name is broken, and a drawing scrolls by itself, so that the page does not scroll sideways. */
const NARROW =
  '.vp-doc :is(h1, h2, h3, h4, h5, p, li, blockquote) { overflow-wrap: anywhere } .vp-doc pre { overflow-x: auto }';

export default defineConfig({
  title: 'Holdfast',
  description: manifest.description,
  lang: 'en-US',
  cleanUrls: true,
  // READMEs of packages are pages too, so the pages begin at the root of the repository.
  srcDir: '..',
  srcExclude: [
    '*.md',
    'packages/*/*/**',
    'examples/*/*/**',
    'bench/**',
    'reports/**',
    'fixtures/**',
    ...(isWritten ? [`${REFERENCE}/**`] : []),
  ],
  head: [['style', {}, NARROW]],
  // A page of the API has too many headings for a list of all of them.
  transformPageData: ({ relativePath, frontmatter }) =>
    relativePath.startsWith('reference/') ? { frontmatter: { ...frontmatter, outline: 2 } } : {},
  ignoreDeadLinks: isWritten ? [/^\/reference\//] : false,
  rewrites: (source) => sitePathOf(source) ?? source,
  markdown: {
    config(md) {
      md.core.ruler.push('site-links', ({ tokens, env }) => {
        // Of a page that is rewritten, `realPath` is the file; a title that is read apart has neither.
        const file: string | undefined = env.realPath ?? env.path;
        if (file === undefined) return;
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const href = token.type === 'link_open' ? token.attrGet('href') : null;
          if (href !== null) token.attrSet('href', siteLink(site, relative(root, file), href));
        }
      });
    },
  },
  themeConfig: {
    nav: [
      { text: 'Start here', link: '/' },
      { text: 'Architecture', link: '/architecture' },
      { text: 'API', link: '/reference/' },
    ],
    sidebar: sidebarOf(pages),
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: web }],
  },
  vite: {
    // The index of the search is one chunk, which is loaded when the search is opened.
    build: { chunkSizeWarningLimit: 8_000, minify: isWritten ? false : 'esbuild' },
    // What this project writes while it is tested is not watched.
    server: { watch: { ignored: ['**/reports/**', '**/dist/**'] } },
  },
});
