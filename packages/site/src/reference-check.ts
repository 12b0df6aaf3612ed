import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PublicName, publicNamesIn } from './descriptions.ts';
import { entryPointsIn } from './entry-points.ts';
import { referencePageOf } from './reference-pages.ts';

/** The exports and options that no page of their package shows, as `at name`. */
export function namesWithoutPlace(root: string): string[] {
  const pages = Map.groupBy(entryPointsIn(root), (entry) => entry.package);
  const texts = new Map(
    [...pages].map(([name, entries]) => [
      name,
      entries
        .map((entry) => readFileSync(join(root, referencePageOf(entry)), 'utf8'))
        .join('\n')
        .replaceAll('\\_', '_'),
    ]),
  );
  return publicNamesIn(root)
    .filter((each) => !shows(texts.get(each.package) ?? '', each))
    .map(({ at, name }) => `${at} ${name}`);
}

/** An export has a heading, an option a row of a table. */
function shows(text: string, { kind, name }: PublicName): boolean {
  if (kind === 'export') return new RegExp(String.raw`^#+ (?:\S+ )*${name}\b`, 'm').test(text);
  const field = name.slice(name.lastIndexOf('.') + 1);
  return new RegExp(String.raw`\b${field}(?:\(\))?\??\``).test(text);
}
