import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { entryPointsIn } from '../entry-points.ts';
import type { CodePage } from './markdown.ts';
import { type PageProgram, pageProgramOf } from './program.ts';

const COMPILE_TIMEOUT_MS = 120_000;

/**
 * Compiles the TypeScript blocks of all pages as one program.
 *
 * @param root of the repository.
 * @param folder for the modules that are made of the pages, in a package that has what they import. It is emptied first.
 * @returns the errors, as `page:line message`.
 * @throws {Error} when the compiler does not run.
 */
export function compileBlocks(root: string, folder: string, pages: readonly CodePage[]): string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const programs = new Map<string, { page: CodePage; program: PageProgram }>();
  for (const page of pages) {
    const program = pageProgramOf(page);
    if (program === undefined) continue;
    const name = `${page.path.replaceAll(/[^\w]+/g, '-')}.ts`;
    writeFileSync(join(folder, name), program.code);
    programs.set(name, { page, program });
  }
  const up = (path: string): string => relative(folder, join(root, path)).split(sep).join('/');
  const packages = new Set(entryPointsIn(root).map((entry) => entry.package));
  const config = {
    extends: up('tsconfig.json'),
    compilerOptions: {
      noUncheckedIndexedAccess: false,
      noPropertyAccessFromIndexSignature: false,
      exactOptionalPropertyTypes: false,
    },
    include: [],
    files: [...programs.keys(), up('packages/site/src/blocks/context.d.ts')],
    references: [...packages].map((name) => ({ path: up(`packages/${name}`) })),
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout, status, error } = spawnSync(
    process.execPath,
    [compiler, '--build', '--pretty', 'false'],
    { cwd: folder, encoding: 'utf8', timeout: COMPILE_TIMEOUT_MS },
  );
  if (error !== undefined) throw error;
  const errors = stdout.split('\n').filter((line) => line !== '');
  if (status !== 0 && errors.length === 0) {
    throw new Error(`tsc ended with ${String(status)} and printed nothing`);
  }
  return errors.map((line) => {
    const [, name = '', row = '', message = ''] = /^([^(]*)\((\d+),\d+\): (.*)$/.exec(line) ?? [];
    const found = programs.get(name);
    if (found === undefined) return line;
    return `${found.page.path}:${found.program.lines[Number(row) - 1] ?? 0} ${message}`;
  });
}
