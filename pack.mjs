/**
 * Makes a package publishable while npm or pnpm packs it; runs in the folder of the package:
 *
 *   node ../../pack.mjs prepare    `prepack`: builds, and writes the manifest and the files that are published
 *   node ../../pack.mjs restore    `postpack`: undoes that; to be run by hand when packing was interrupted
 *   node ../../pack.mjs manifest   prints the manifest that is published
 *   node ../../pack.mjs readme     prints the README that is published
 *
 * From the root, `node pack.mjs publish [flags of npm publish]` publishes all packages, those that others need first. With
 * RELEASE_TAG, the tag has to be `v` and the version.
 *
 * In the workspace an entry point is a source and a dependency is `workspace:^`; in the tarball an entry point is the
 * build of that source and a dependency is a version. npm and pnpm read the manifest after `prepack`, so
 * both publish the same package. A link to another file of the repository leads to that file on the web, at the tag of
 * the version: the tarball does not contain it.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const manifestPath = 'package.json';
/** The manifest of the workspace while the package is packed; `files` keeps it out of the tarball. */
const savedPath = '.package.json.workspace';
const readmePath = 'README.md';
/** The README of the workspace meanwhile. */
const savedReadmePath = '.README.md.workspace';
/** Files of the root that every package contains. */
const shared = ['LICENSE', 'CHANGELOG.md'];
/** The folder of the declarations that TypeScript takes for CommonJS. */
const commonjs = 'types-commonjs';

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Builds from nothing, so that the tarball has no output of a source that is gone. */
function build() {
  for (const output of ['dist', 'tsconfig.tsbuildinfo']) {
    rmSync(output, { recursive: true, force: true });
  }
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  // npm prints the tarball's name on stdout, and nothing else may be there.
  const { status } = spawnSync(process.execPath, [compiler, '--build'], {
    stdio: ['ignore', process.stderr, 'inherit'],
  });
  if (status !== 0) throw new Error(`pack: 'tsc --build' ended with ${status}; see above`);
}

/**
 * `./src/queue.ts` as the build of that file. `require` loads the same module, which Node can since 22.12, and has its
 * types from a folder that TypeScript takes for CommonJS.
 */
function builtEntry([key, source]) {
  const [, file] = /^\.\/src\/(.+)\.ts$/.exec(source) ?? [];
  if (file === undefined) return [key, source];
  const built = { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` };
  return [key, { require: { ...built, types: `./${commonjs}/${file}.d.ts` }, ...built }];
}

/**
 * Lets the declarations of an entry point name the types of Node themselves: a project may not include them, as one of
 * TypeScript 6 does not by default.
 */
function referToNode([, source]) {
  const { types } = builtEntry(['.', source])[1];
  if (types === undefined) return;
  writeFileSync(types, `/// <reference types="node" />\n${readFileSync(types, 'utf8')}`);
  const map = readJson(`${types}.map`);
  // Every line has moved down by one.
  writeFileSync(`${types}.map`, JSON.stringify({ ...map, mappings: `;${map.mappings}` }));
}

/** Copies the declarations to a folder of CommonJS. */
function copyDeclarations() {
  rmSync(commonjs, { recursive: true, force: true });
  const isDeclaration = (path) => statSync(path).isDirectory() || /\.d\.ts(\.map)?$/.test(path);
  cpSync('dist', commonjs, { recursive: true, filter: isDeclaration });
  writeFileSync(join(commonjs, 'package.json'), '{ "type": "commonjs" }\n');
}

/** `./src/command/main.ts` as the build of that file. */
function builtProgram([name, source]) {
  return [name, source.replace(/^\.\/src\/(.+)\.ts$/, './dist/$1.js')];
}

/** Replaces the `workspace:` of a range by the version of that package: `workspace:^` is `^0.1.0`. */
function publishedRange([name, range]) {
  if (!range.startsWith('workspace:')) return [name, range];
  const { version } = readJson(
    join(root, 'packages', name.replace('@holdfast/', ''), manifestPath),
  );
  return [name, range.replace('workspace:', '') + version];
}

function withPublishedRanges(manifest, field) {
  const ranges = manifest[field];
  if (ranges === undefined) return {};
  return { [field]: Object.fromEntries(Object.entries(ranges).map(publishedRange)) };
}

/** @param manifest the manifest of the workspace. @returns the manifest of the tarball. */
function publishedManifest(workspace) {
  const manifest = { ...workspace };
  // What serves the workspace only.
  delete manifest.scripts;
  delete manifest.devDependencies;
  const exports = Object.fromEntries(Object.entries(manifest.exports).map(builtEntry));
  const { '.': index, ...entries } = exports;
  const subpaths = Object.entries(entries).filter(([, entry]) => entry.types !== undefined);
  return {
    ...manifest,
    // For resolvers that do not read `exports`: TypeScript's `node10`.
    main: index.default,
    types: index.types,
    ...(subpaths.length > 0 && {
      typesVersions: {
        '*': Object.fromEntries(subpaths.map(([key, { types }]) => [key.slice(2), [types]])),
      },
    }),
    ...(manifest.bin && {
      bin: Object.fromEntries(Object.entries(manifest.bin).map(builtProgram)),
    }),
    exports,
    files: [...manifest.files, commonjs],
    ...withPublishedRanges(manifest, 'dependencies'),
    ...withPublishedRanges(manifest, 'peerDependencies'),
  };
}

/** Links, images, definitions of links, and the links of HTML: what stands before the target, and the target. */
const LINK = /(\]\(|^\[[^\]]+\]:\s+|\b(?:href|src)=")([^)\s"]+)/gm;
const ABSOLUTE = /^(?:[a-z][a-z0-9+.-]*:|\/\/|#)/i;

/**
 * The text with each relative link as one to the web.
 * @param folder that of the file, to which the links are relative.
 * @throws Error for a link to a file that the repository does not have.
 */
function publishedText(text, folder, { repository, version }) {
  const site = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
  // Code is no link, whatever it looks like; it is every second part.
  const parts = text.split(/(^```[^]*?^```|`[^`\n]*`)/m);
  const linked = (whole, before, target) => {
    if (ABSOLUTE.test(target)) return whole;
    const [, path, anchor] = /^([^#]*)(.*)$/.exec(target);
    const file = resolve(folder, decodeURI(path));
    if (!existsSync(file)) throw new Error(`pack: the link to ${target} leads to no file`);
    const isImage = /\.(?:png|svg|jpe?g|gif|webp)$/i.test(path);
    const view = statSync(file).isDirectory() ? 'tree' : isImage ? 'raw' : 'blob';
    const place = encodeURI(relative(root, file));
    return `${before}${site}/${view}/v${version}/${place}${anchor}`;
  };
  return parts.map((part, at) => (at % 2 === 1 ? part : part.replace(LINK, linked))).join('');
}

const publishedReadme = () =>
  publishedText(readFileSync(readmePath, 'utf8'), process.cwd(), readJson(manifestPath));

function prepare() {
  if (existsSync(savedPath)) restore();
  build();
  for (const entry of Object.entries(readJson(manifestPath).exports)) referToNode(entry);
  copyDeclarations();
  const workspace = readJson(manifestPath);
  const published = publishedManifest(workspace);
  const readme = publishedReadme();
  for (const name of shared) {
    writeFileSync(name, publishedText(readFileSync(join(root, name), 'utf8'), root, workspace));
  }
  renameSync(readmePath, savedReadmePath);
  writeFileSync(readmePath, readme);
  renameSync(manifestPath, savedPath);
  writeFileSync(manifestPath, `${JSON.stringify(published, undefined, 2)}\n`);
}

function restore() {
  if (existsSync(savedPath)) renameSync(savedPath, manifestPath);
  if (existsSync(savedReadmePath)) renameSync(savedReadmePath, readmePath);
  for (const name of [...shared, commonjs]) rmSync(name, { recursive: true, force: true });
}

function printManifest() {
  process.stdout.write(
    `${JSON.stringify(publishedManifest(readJson(manifestPath)), undefined, 2)}\n`,
  );
}

function printReadme() {
  process.stdout.write(publishedReadme());
}

/** The published packages, each after those it depends on. */
function inOrder() {
  const folders = readdirSync(join(root, 'packages'));
  const manifests = new Map(
    folders.map((folder) => [folder, readJson(join(root, 'packages', folder, manifestPath))]),
  );
  const ordered = new Map();
  const visit = (folder) => {
    const manifest = manifests.get(folder);
    if (manifest.private === true || ordered.has(folder)) return;
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      if (name.startsWith('@holdfast/')) visit(name.replace('@holdfast/', ''));
    }
    ordered.set(folder, manifest);
  };
  for (const folder of folders) visit(folder);
  return ordered;
}

function publish(flags) {
  const packages = inOrder();
  const tag = process.env['RELEASE_TAG'];
  for (const { name, version } of packages.values()) {
    if (tag === undefined || tag === `v${version}`) continue;
    throw new Error(
      `pack: ${name} has the version ${version}, and the tag is ${tag}; nothing was published`,
    );
  }
  for (const folder of packages.keys()) {
    const cwd = join(root, 'packages', folder);
    const { status } = spawnSync('npm', ['publish', ...flags], { cwd, stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
  }
}

const steps = { prepare, restore, manifest: printManifest, readme: printReadme, publish };
const [step, ...flags] = process.argv.slice(2);
if (step === undefined || !Object.hasOwn(steps, step)) {
  process.stderr.write(`usage: node pack.mjs ${Object.keys(steps).join('|')}\n`);
  process.exit(2);
}
steps[step](flags);
