import { mkdir, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { environment } from '@holdfast/foundation';
import { PNPM, ROOT, SLOW_MS, execute, publishedNames, tarball } from './pack.ts';

const workspace = environment['HOLDFAST_PACKED_WORKSPACE'] ?? '';
const unpacked = join(workspace, 'unpacked');
const names = await publishedNames();

async function unpack(file: string, to: string): Promise<string> {
  await mkdir(to, { recursive: true });
  await execute('tar', ['xzf', file, '-C', to], { cwd: workspace });
  return join(to, 'package');
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .toSorted();
}

const readJson = async (...path: string[]): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(...path), 'utf8'));

beforeAll(async () => {
  for (const name of names) await unpack(tarball(name), join(unpacked, name));
}, SLOW_MS);

test.each(names)('the tarball of %s has what it names, and nothing else', async (name) => {
  const folder = join(unpacked, name, 'package');
  const manifest = await readJson(folder, 'package.json');
  const files = await filesOf(folder);
  expect(files).toEqual(expect.arrayContaining(['CHANGELOG.md', 'LICENSE', 'README.md']));
  const roots = new Set(files.map((file) => file.split('/')[0]));
  const known = ['CHANGELOG.md', 'LICENSE', 'README.md', 'dashboards', 'dist', 'package.json'];
  expect([...known, 'src', 'types-commonjs']).toEqual(expect.arrayContaining([...roots]));
  expect(files.filter((file) => /\.test\.|tsbuildinfo|^src\/.*\.js$/.test(file))).toEqual([]);
  // No workspace range, no script of the repository.
  expect(JSON.stringify(manifest)).not.toContain('workspace:');
  expect(manifest).not.toHaveProperty('scripts');
  expect(manifest).not.toHaveProperty('devDependencies');
  const targets = JSON.stringify(
    ['exports', 'main', 'types', 'bin'].map((field) => manifest[field]),
  );
  const named = [...targets.matchAll(/"\.\/([^"*]+\.\w+)"/g)].map(([, file]) => file);
  expect(named.length).toBeGreaterThan(3);
  // A key such as `./package.json` is a target as well.
  expect(files).toEqual(expect.arrayContaining(named.filter((file) => file !== undefined)));
});

test.each(names)('every link of the documents of %s leads to what is published', async (name) => {
  const folder = join(unpacked, name, 'package');
  const { version } = await readJson(folder, 'package.json');
  for (const document of ['README.md', 'CHANGELOG.md']) {
    const text = await readFile(join(folder, document), 'utf8');
    const targets = [...text.matchAll(/\]\(([^)\s]+)|(?:href|src)="([^"]+)/g)].map(
      ([, link, attribute]) => link ?? attribute ?? '',
    );
    for (const target of targets) {
      if (target.startsWith('#')) continue;
      expect([document, target]).toEqual([document, expect.stringMatching(/^https?:/)]);
      const [, view, tag, path] =
        /^https:\/\/github\.com\/holdfast-js\/holdfast\/(blob|tree|raw)\/([^/]+)\/([^#]+)/.exec(
          target,
        ) ?? [];
      if (view === undefined || path === undefined) continue;
      expect(tag).toBe(`v${String(version)}`);
      const found = await stat(join(ROOT, decodeURI(path)));
      expect([target, found.isDirectory()]).toEqual([target, view === 'tree']);
    }
  }
});

test.each(names)('every source map of %s finds its source', async (name) => {
  const folder = join(unpacked, name, 'package');
  const files = await filesOf(folder);
  const maps = files.filter((file) => file.endsWith('.map'));
  expect(maps.length).toBeGreaterThan(0);
  const missing: string[] = [];
  for (const map of maps) {
    const { sources, sourceRoot = '' } = await readJson(folder, map);
    if (!Array.isArray(sources)) throw new Error(`${map} has no sources`);
    for (const source of sources) {
      const path = join(map, '..', String(sourceRoot), String(source));
      if (!files.includes(path)) missing.push(`${map}: ${path}`);
    }
  }
  expect(missing).toEqual([]);
});

test(
  'pnpm packs the same files as npm',
  async () => {
    const name = 'queue';
    const to = join(workspace, 'by-pnpm');
    await mkdir(to, { recursive: true });
    const cwd = join(workspace, 'packages', name);
    const pack = ['--yes', PNPM, '-C', cwd, 'pack', '--pack-destination', to];
    await execute('npx', pack, { cwd: to });
    const packed = await unpack(join(to, 'holdfast-queue-0.1.0.tgz'), join(to, 'unpacked'));
    const files = await filesOf(packed);
    expect(files).toEqual(await filesOf(join(unpacked, name, 'package')));
    for (const file of files) {
      const [one, other] = await Promise.all(
        [packed, join(unpacked, name, 'package')].map((folder) =>
          readFile(join(folder, file), 'utf8'),
        ),
      );
      expect(one?.trim()).toBe(other?.trim());
    }
  },
  SLOW_MS,
);

test(
  'npm would publish the packed package, with public access, and leaves the workspace as it was',
  async () => {
    const cwd = join(workspace, 'packages', 'foundation');
    const before = await readFile(join(cwd, 'package.json'), 'utf8');
    const readme = await readFile(join(cwd, 'README.md'), 'utf8');
    const said = await execute('npm', ['publish', '--dry-run'], { cwd });
    expect(said).toContain('public access');
    expect(said).toContain('types-commonjs/index.d.ts');
    expect(await readFile(join(cwd, 'package.json'), 'utf8')).toBe(before);
    expect(await readFile(join(cwd, 'README.md'), 'utf8')).toBe(readme);
    expect(await readdir(cwd)).not.toEqual(expect.arrayContaining(['LICENSE', 'types-commonjs']));
  },
  SLOW_MS,
);
