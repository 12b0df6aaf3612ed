/** The pages of the documentation site. It refuses to know what they say. */
export { referencePageOf } from './reference-pages.ts';
export { entryPointsIn } from './entry-points.ts';
export { type SitePage, REFERENCE, sitePagesIn, sitePathOf } from './pages.ts';
export { type SidebarItem, sidebarOf } from './sidebar.ts';
export { type BlockResult, type RunnableBlock, runBlock, runnableBlocksIn } from './blocks/run.ts';
export { type CodeBlock, type CodePage, codePagesIn } from './blocks/markdown.ts';
export { DeadLinkError, type LinkedSite, siteLink } from './links.ts';
