import { createHash, randomUUID } from 'node:crypto';
import { access, constants, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { environment, isHoldfastError, systemClock } from '@holdfast/foundation';
import { CLOCK_FILE_VARIABLE, CLOCK_SOURCE } from './clock-source.ts';
import { run } from './command.ts';

/** The library, or the reason why there is none. */
type ClockLibrary =
  | { readonly available: true; readonly path: string }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

const COMPILERS = ['cc', 'gcc', 'clang', 'tcc'] as const;
const REMEDY =
  'install a C compiler, such as gcc with the headers of its C library, or move the clock of a Node process by createResourceFaults';
/** How far a clock is moved for the check: eleven days. */
const PROOF_MS = 1_000_000_000;
/** How much time may pass between two readings. */
const PROOF_TOLERANCE_MS = 60_000;
const NANOSECONDS = 1_000_000n;

/**
 * Returns the library that moves the clock of a process. It is compiled at the first use and kept in the cache folder
 * after a check that a process reads its clock through it.
 */
export async function clockLibrary(): Promise<ClockLibrary> {
  const version = createHash('sha256').update(CLOCK_SOURCE).digest('hex').slice(0, 16);
  const folder = join(cacheFolder(), 'holdfast', 'clock');
  const path = join(folder, `${version}-${process.arch}.so`);
  if (await isAccessible(path, constants.R_OK)) return { available: true, path };
  const compiler = await compilerOnPath();
  if (compiler === undefined)
    return unavailable(`no C compiler (${COMPILERS.join(', ')}) is on PATH`);
  const draft = join(folder, randomUUID());
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(`${draft}.c`, CLOCK_SOURCE);
    await run([compiler, '-shared', '-fPIC', '-O2', '-o', `${draft}.so`, `${draft}.c`]);
    if (!(await moves(`${draft}.so`, `${draft}.offset`))) {
      return unavailable(
        `${compiler} compiled the library, but a process that preloads it keeps its clock`,
      );
    }
    await rename(`${draft}.so`, path);
    return { available: true, path };
  } catch (error) {
    return unavailable(isHoldfastError(error) ? error.message : String(error));
  } finally {
    for (const extension of ['c', 'so', 'offset'])
      await rm(`${draft}.${extension}`, { force: true });
  }
}

function unavailable(reason: string): ClockLibrary {
  return { available: false, reason, remedy: REMEDY };
}

/** Encodes the offset for its file: nanoseconds in the machine's byte order. */
export function offsetBytes(offsetMs: number): Uint8Array {
  return new Uint8Array(BigInt64Array.of(BigInt(offsetMs) * NANOSECONDS).buffer);
}

/** Returns the environment variables with which a process reads its clock through the library. */
export function clockEnvironment(library: string, offsetFile: string): Record<string, string> {
  const preloaded = environment['LD_PRELOAD'] ?? '';
  return {
    LD_PRELOAD: preloaded === '' ? library : `${library}:${preloaded}`,
    [CLOCK_FILE_VARIABLE]: offsetFile,
  };
}

async function moves(library: string, offsetFile: string): Promise<boolean> {
  await writeFile(offsetFile, offsetBytes(PROOF_MS));
  const read = [process.execPath, '-p', 'Date.now()'];
  const variables = { ...clockEnvironment(library, offsetFile), NODE_OPTIONS: '' };
  const movedMs = Number(await run(read, variables)) - systemClock.epochMs();
  return Math.abs(movedMs - PROOF_MS) < PROOF_TOLERANCE_MS;
}

async function compilerOnPath(): Promise<string | undefined> {
  for (const name of COMPILERS) {
    const file = await findOnPath(name);
    if (file !== undefined) return file;
  }
  return undefined;
}

/** Returns the first executable of that name on PATH. */
export async function findOnPath(name: string): Promise<string | undefined> {
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, name);
    if (isAbsolute(folder) && (await isAccessible(file, constants.X_OK))) return file;
  }
  return undefined;
}

/** XDG Base Directory Specification: $XDG_CACHE_HOME, else ~/.cache. */
function cacheFolder(): string {
  const given = environment['XDG_CACHE_HOME'];
  return given !== undefined && isAbsolute(given) ? given : join(homedir(), '.cache');
}

async function isAccessible(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}
