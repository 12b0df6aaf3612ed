import { mkdir, readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { type Clock, environment } from '@holdfast/foundation';
import { BuildDirectoryError } from '../errors.ts';
import { type ProcessResult, runProcess } from '../process/run-process.ts';
import type { BuildFailure, BuildOutcome } from './build-outcome.ts';
import type { BuildWarning } from './verified-build.ts';
import { type BuildExpectations, verifyBuild } from './verify-build.ts';

/** How a site is built. */
export interface BuildOptions {
  /** The program; the word `{output}` in an argument stands for the directory that it must write to. */
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** The longest that it may take, in milliseconds. Default: 300,000. */
  readonly timeoutMs?: number;
  /** The time from SIGTERM to SIGKILL, in milliseconds. Default: 2,000. */
  readonly killGraceMs?: number;
  /** The most memory of the build and all that it starts, in bytes. Default: 2 GiB. */
  readonly maxMemoryBytes?: number;
  /** The heap of each Node process in the build, in MiB. Default: 1,024. */
  readonly maxHeapMib?: number;
  /** More environment variables. Default: none but PATH, HOME and what a build needs of the machine. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the result must have. */
  readonly expect?: BuildExpectations;
}

/** One build. */
export interface BuildRun {
  readonly sourceDirectory: string;
  /** A directory for this build alone: created; it must be empty. */
  readonly outputDirectory: string;
  readonly signal?: AbortSignal | undefined;
  readonly clock: Clock;
}

const TIMEOUT_MS = 300_000;
const KILL_GRACE_MS = 2_000;
const MAX_MEMORY_BYTES = 2_147_483_648;
const MAX_HEAP_MIB = 1_024;
const MAX_OUTPUT_BYTES = 262_144;
const LAST_CHARACTERS = 600;
const MAX_WARNINGS = 100;
const ABORTED_EXIT_CODES = new Set([134, 137]);

/**
 * Builds a site into a directory of its own, and verifies it. Whatever the build started ends with it. Nothing of a
 * build that failed can be published, however complete it looks.
 * @throws BuildDirectoryError; the reason of the signal; the error of the file system
 */
export async function runBuild(
  options: BuildOptions,
  { sourceDirectory, outputDirectory, signal, clock }: BuildRun,
): Promise<BuildOutcome> {
  const output = resolve(outputDirectory);
  await createDirectory(output, resolve(sourceDirectory));
  const { timeoutMs = TIMEOUT_MS, killGraceMs = KILL_GRACE_MS } = options;
  const result = await runProcess({
    command: options.command,
    args: options.args.map((argument) => argument.replaceAll('{output}', output)),
    cwd: sourceDirectory,
    env: buildVariables(options),
    timeoutMs,
    killGraceMs,
    maxOutputBytes: MAX_OUTPUT_BYTES,
    maxMemoryBytes: options.maxMemoryBytes ?? MAX_MEMORY_BYTES,
    signal,
    clock,
  });
  signal?.throwIfAborted();
  const { durationMs } = result;
  const failure = failureOf(result, timeoutMs);
  if (failure !== undefined) return { kind: 'failed', failure, durationMs };
  const verification = await verifyBuild(output, options.expect, warningsOf(result));
  if (verification.kind === 'refused') {
    return { kind: 'failed', failure: verification.failure, durationMs };
  }
  return { kind: 'built', build: verification.build, durationMs };
}

async function createDirectory(output: string, source: string): Promise<void> {
  if (isWithin(source, output)) {
    throw new BuildDirectoryError(output, 'the source lies in it');
  }
  // What is served must not change under its readers, and what is there is not ours to remove.
  const entries = await readdir(output).catch(() => []);
  if (entries.length > 0) throw new BuildDirectoryError(output, 'it is not empty');
  await mkdir(output, { recursive: true });
}

function isWithin(inner: string, outer: string): boolean {
  const path = relative(outer, inner);
  return path === '' || (!path.startsWith('..') && join(outer, path) === inner);
}

function failureOf(result: ProcessResult, timeoutMs: number): BuildFailure | undefined {
  const { endedBy, code, signal, stderr, stdout } = result;
  const lastLines = `${stdout}\n${stderr}`.trim().slice(-LAST_CHARACTERS);
  if (endedBy === 'timeout') return { kind: 'timeout', timeoutMs };
  if (endedBy === 'not-started') return { kind: 'not-started', reason: stderr };
  const isOutOfMemory =
    endedBy === 'memory' ||
    /heap out of memory|Allocation failed/.test(stderr) ||
    signal === 'SIGKILL' ||
    (code !== undefined && ABORTED_EXIT_CODES.has(code));
  if (isOutOfMemory) return { kind: 'memory', lastLines };
  return code === 0 ? undefined : { kind: 'exit', code, lastLines };
}

/** Astro and Vite write `[WARN]`; most others begin a line with `warning`. */
function warningsOf({ stdout, stderr }: ProcessResult): readonly BuildWarning[] {
  return `${stdout}\n${stderr}`
    .split('\n')
    .filter((line) => /\[WARN\]|^\s*(?:\(!\)\s|warn(?:ing)?\b)/i.test(line))
    .slice(0, MAX_WARNINGS)
    .map((line) => ({ text: line.trim() }));
}

function buildVariables({
  env = {},
  maxHeapMib = MAX_HEAP_MIB,
}: BuildOptions): Record<string, string> {
  const { PATH = '/usr/bin:/bin', HOME = '/nonexistent', TMPDIR, LANG } = environment;
  return {
    PATH,
    HOME,
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
    ...(LANG === undefined ? {} : { LANG }),
    CI: '1',
    NO_COLOR: '1',
    ASTRO_TELEMETRY_DISABLED: '1',
    NODE_OPTIONS: `--max-old-space-size=${maxHeapMib}`,
    ...env,
  };
}
