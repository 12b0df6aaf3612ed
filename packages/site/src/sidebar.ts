import { posix } from 'node:path';
import type { SitePage } from './pages.ts';

/** An entry of VitePress's sidebar. */
export interface SidebarItem {
  text: string;
  link?: string;
  collapsed?: boolean;
  items?: SidebarItem[];
}

/** The folders in the order of the sidebar. A folder that is not listed comes after them, under its own name. */
const groups: readonly (readonly [folder: string, text: string, isCollapsed: boolean])[] = [
  ['.', 'Start here', false],
  ['packages', 'Packages', false],
  ['policies', 'Policies', false],
  ['operations', 'Operations', false],
  ['queue', 'Queue', true],
  ['publisher', 'Publisher', true],
  ['failures', 'What fails', true],
  ['recipes', 'Recipes', true],
  ['examples', 'Examples', true],
  ['moving', 'Moving to Holdfast', true],
  ['tuning', 'Tuning', true],
  ['faults', 'Faults', true],
  ['stage', 'Stage', true],
  ['database', 'Database', true],
  ['atlas', 'Atlas', true],
  ['metrics', 'Metrics', true],
  ['reference', 'API', true],
  ['results', 'Results', true],
  ['decisions', 'Decisions', true],
];

const REFERENCE_GROUP = 'reference';

/** The sidebar: a group for each folder of pages, so that a new page needs no entry of its own. */
export function sidebarOf(pages: readonly SitePage[]): SidebarItem[] {
  const byFolder = Map.groupBy(pages, ({ path }) => groupOf(path));
  const known = new Map(groups.map(([folder, ...group]) => [folder, group]));
  const added = [...byFolder.keys()].filter((folder) => !known.has(folder)).toSorted();
  return [...known.keys(), ...added].flatMap((folder): SidebarItem[] => {
    const members = byFolder.get(folder) ?? [];
    if (members.length === 0) return [];
    const [text, collapsed] = known.get(folder) ?? [titleOf(folder), true];
    const items = folder === REFERENCE_GROUP ? nested(members) : members.map(itemOf);
    return [{ text, collapsed, items }];
  });
}

/** `/packages/queue/` for the page `packages/queue/index`. */
export function linkTo(path: string): string {
  return `/${path.replace(/(^|\/)index$/, '$1')}`;
}

function groupOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '.') : '.';
}

/** The entry points of a package below its first one. */
function nested(pages: readonly SitePage[]): SidebarItem[] {
  return [...Map.groupBy(pages, ({ path }) => path.split('/')[1])].flatMap(([name, members]) => {
    const [first, ...rest] = members.map(itemOf);
    if (first === undefined || name === 'index') return [];
    return [rest.length === 0 ? first : { ...first, collapsed: true, items: rest }];
  });
}

function itemOf({ path, title }: SitePage): SidebarItem {
  return { text: title.replace(/^@holdfast\//, ''), link: linkTo(path) };
}

function titleOf(folder: string): string {
  const words = posix.basename(folder).replaceAll('-', ' ');
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
