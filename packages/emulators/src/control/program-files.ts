import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The files of a program, for a container that has only Node. */
interface ProgramFiles {
  /** The path of the main file. */
  readonly main: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
}

const OWN_SCOPE = '@holdfast/';
const imports = /^((?:import|export|\}).*?\bfrom )'([^']+)'/gm;

/**
 * Collects a program and all its imports from this repository, built or as source, into one directory, and
 * rewrites the imports accordingly.
 */
export function programFiles(main: URL, folder: string): ProgramFiles {
  const paths = new Map<string, string>();
  const pathOf = (url: string): string => {
    const known = paths.get(url);
    if (known !== undefined) return known;
    const place = `${folder}/${paths.size}-${basename(url)}`;
    paths.set(url, place);
    return place;
  };
  const entry = pathOf(main.href);
  const files: { path: string; content: string }[] = [];
  // The loop also visits the imports that it appends.
  for (const [url, path] of paths) {
    const source = readFileSync(fileURLToPath(url), 'utf8');
    const content = source.replaceAll(imports, (whole, before: string, specifier: string) => {
      if (specifier.startsWith('node:')) return whole;
      return `${before}'${pathOf(resolveImport(specifier, url))}'`;
    });
    files.push({ path, content });
  }
  return { main: entry, files };
}

function resolveImport(specifier: string, from: string): string {
  if (specifier.startsWith('.')) return new URL(specifier, from).href;
  if (!specifier.startsWith(OWN_SCOPE)) {
    throw new TypeError(
      `${from} imports ${specifier}, which a container with only Node does not have`,
    );
  }
  return pathToFileURL(createRequire(from).resolve(specifier)).href;
}
