/**
 * A build of a small site, as a process: copies `pages/` and `site.css` to its argument, and breaks where it is told.
 * Faults are in `build.json` of the sources, or in a file of `HOLDFAST_BUILD_FAULTS` with the name of the session.
 */
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { environment } from '@holdfast/foundation';

/** How a build breaks. */
export type BuildFault =
  | 'BUILD_ERROR'
  | 'BUILD_HANG'
  | 'BUILD_LARGE'
  | 'BUILD_OOM'
  | 'BUILD_WARNING';

const [, , output = ''] = process.argv;
const BYTES = 16_777_216;
const POLL_MS = 5;
/** A thousand large files: more than a small heap holds. */
const LARGE_FILES = 1_000;
const LARGE_WORDS = 25_000;

function faultsOf(): readonly unknown[] {
  const own = existsSync('build.json') ? readFileSync('build.json', 'utf8') : '';
  const run = decodeURIComponent(basename(dirname(process.cwd())));
  const [session = ''] = run.split('.');
  const file = join(environment['HOLDFAST_BUILD_FAULTS'] ?? '', session);
  const injected = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return [own.trim(), injected.trim()];
}

const faults = faultsOf();
// As `npm run build` does.
if (!existsSync('package.json')) {
  process.stderr.write('npm error enoent Could not read package.json\n');
  process.exit(254);
}
cpSync('pages', output, { recursive: true });
cpSync('site.css', join(output, 'site.css'));
if (faults.includes('BUILD_LARGE')) {
  const text = `<html>${'large '.repeat(LARGE_WORDS)}</html>`;
  for (let index = 0; index < LARGE_FILES; index += 1) {
    writeFileSync(join(output, `large-${index}.html`), text);
  }
}
if (faults.includes('BUILD_WARNING')) process.stdout.write('[WARN] a component has no name\n');
if (faults.includes('BUILD_ERROR')) {
  process.stderr.write('a component has a syntax error\n');
  process.exit(1);
}
if (faults.includes('BUILD_HANG')) {
  // As npm does: the work goes on in a child, whatever becomes of this process.
  spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  await new Promise(() => {});
}
if (faults.includes('BUILD_OOM')) {
  const held: Buffer[] = [];
  while (true) {
    held.push(Buffer.alloc(BYTES, 1));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
  }
}
