import { createHash } from 'node:crypto';
import { lstat, readFile, readdir } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { BuildFailure } from './build-outcome.ts';
import { contentTypeOf } from './content-type.ts';
import { brokenLinksOf } from './links.ts';
import {
  type BuildWarning,
  type BuiltFile,
  type VerifiedBuild,
  markVerified,
} from './verified-build.ts';

/** What a complete build has. */
export interface BuildExpectations {
  /** Files that it must have. Default: `index.html`. */
  readonly requiredPaths?: readonly string[];
  /** The fewest pages. Default: 1. */
  readonly minPages?: number;
  /** The most files. Default: 100,000. */
  readonly maxFiles?: number;
  /** The most bytes of all files together. Default: 1 GiB. */
  readonly maxBytes?: number;
  /** What a link to a missing file does: `'refuse'` fails the build, `'warn'` is a warning. Default: `'refuse'`. */
  readonly brokenLinks?: 'refuse' | 'warn';
}

/** What {@link verifyBuild} found. */
export type Verification =
  | { readonly kind: 'verified'; readonly build: VerifiedBuild }
  | { readonly kind: 'refused'; readonly failure: BuildFailure };

const MAX_FILES = 100_000;
const MAX_BYTES = 1_073_741_824;
const HASHES_AT_A_TIME = 16;

/**
 * Checks the files of a build that ended with 0: they are all there, each page is whole, each link leads somewhere.
 * Rejects with the error of the file system.
 */
export async function verifyBuild(
  directory: string,
  expectations: BuildExpectations = {},
  warnings: readonly BuildWarning[] = [],
): Promise<Verification> {
  const { requiredPaths = ['index.html'], minPages = 1, maxFiles = MAX_FILES } = expectations;
  const { maxBytes = MAX_BYTES, brokenLinks = 'refuse' } = expectations;
  const refuse = (reason: string, paths: readonly string[]): Verification => ({
    kind: 'refused',
    failure: { kind: 'incomplete', reason, paths },
  });
  const found = await listFiles(directory, maxFiles + 1);
  if (found.special.length > 0) return refuse('it has what is no plain file', found.special);
  if (found.paths.length > maxFiles) return refuse(`it has more than ${maxFiles} files`, []);
  const paths = new Set(found.paths);
  const missing = requiredPaths.filter((path) => !paths.has(path));
  if (missing.length > 0) return refuse('files are missing', missing);

  const { files, pages } = await readFiles(directory, found.paths);
  if (pages.size < minPages) return refuse(`it has ${pages.size} of ${minPages} pages`, []);
  const empty = files.filter(({ path, bytes }) => bytes === 0 && isPage(path));
  if (empty.length > 0) return refuse('pages are empty', pathsOf(empty));
  const torn = [...pages].filter(([, html]) => /<html\b/i.test(html) && !/<\/html>/i.test(html));
  if (torn.length > 0)
    return refuse(
      'pages end in the middle',
      torn.map(([path]) => path),
    );
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (bytes > maxBytes) return refuse(`it has ${bytes} bytes, over ${maxBytes}`, []);

  const links = brokenLinksOf(pages, paths);
  if (links.length > 0 && brokenLinks === 'refuse') {
    return { kind: 'refused', failure: { kind: 'broken-links', links } };
  }
  const linkWarnings = links.map(({ page, target }) => ({
    text: `${page} links to ${target}, which is not there`,
  }));
  const all = [...warnings, ...linkWarnings];
  return {
    kind: 'verified',
    build: markVerified({ directory, files, digest: digestOf(files), warnings: all }),
  };
}

/** SHA-256 over the paths and contents of files, in the order of their paths. */
export function digestOf(files: readonly BuiltFile[]): string {
  const hash = createHash('sha256');
  const sorted = files.toSorted((one, other) => (one.path < other.path ? -1 : 1));
  for (const { path, sha256 } of sorted) hash.update(`${JSON.stringify(path)} ${sha256}\n`);
  return hash.digest('hex');
}

async function listFiles(
  directory: string,
  maxFiles: number,
): Promise<{ readonly paths: readonly string[]; readonly special: readonly string[] }> {
  const paths: string[] = [];
  const special: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name)
      .slice(directory.length + 1)
      .split(sep)
      .join('/');
    (entry.isFile() ? paths : special).push(path);
    if (paths.length >= maxFiles) break;
  }
  return { paths: paths.toSorted(), special };
}

async function readFiles(
  directory: string,
  paths: readonly string[],
): Promise<{ readonly files: readonly BuiltFile[]; readonly pages: ReadonlyMap<string, string> }> {
  const files: BuiltFile[] = [];
  const pages = new Map<string, string>();
  for (let at = 0; at < paths.length; at += HASHES_AT_A_TIME) {
    const batch = paths.slice(at, at + HASHES_AT_A_TIME);
    const contents = await Promise.all(batch.map((path) => readBuilt(directory, path)));
    for (const [index, path] of batch.entries()) {
      const content = contents[index] ?? Buffer.alloc(0);
      files.push({
        path,
        sha256: sha256Of(content),
        bytes: content.length,
        contentType: contentTypeOf(path),
      });
      if (isPage(path)) pages.set(path, content.toString('utf8'));
    }
  }
  return { files, pages };
}

async function readBuilt(directory: string, path: string): Promise<Buffer> {
  const full = join(directory, ...path.split('/'));
  const { size } = await lstat(full);
  const content = await readFile(full);
  if (content.length !== size) throw new Error(`${path} changed while it was read`);
  return content;
}

/** SHA-256 in hexadecimal. */
export function sha256Of(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function isPage(path: string): boolean {
  return path.endsWith('.html');
}

function pathsOf(files: readonly BuiltFile[]): readonly string[] {
  return files.map(({ path }) => path);
}
