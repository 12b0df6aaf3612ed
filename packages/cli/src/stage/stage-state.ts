import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import type { StageMode } from '@holdfast/stage';
import { CommandUsageError } from '../errors.ts';
import { processStartTime } from './process-start-time.ts';
import type { StageServerName } from './stage-server-names.ts';

/** One server of a stage that is up. */
export interface KeptServer {
  readonly name: string;
  readonly url: string;
  readonly host: string;
  readonly port: number;
}

/** A stage that outlives the command that began it. */
export interface KeptStage {
  /** Of the process that keeps it, and when that process was started: another process may get its pid later. */
  readonly pid: number;
  readonly processStartTime: string;
  readonly startedAtEpochMs: number;
  readonly mode: StageMode;
  /** What was asked for. */
  readonly names: readonly StageServerName[];
  readonly servers: readonly KeptServer[];
  /** Variables of the environment by which clients find the servers. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Of the user alone: it has the secrets of the servers. */
const FILE_MODE = 0o600;
const STATE_FILE = 'stage.json';

export function stateFileIn(directory: string): string {
  return join(directory, STATE_FILE);
}

/** Creates the folder, which git ignores. */
export async function createStateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, '.gitignore'), '*\n');
}

/** @throws CommandUsageError when another stage has come up meanwhile */
export async function writeState(file: string, stage: KeptStage): Promise<void> {
  const text = `${JSON.stringify(stage, undefined, 2)}\n`;
  try {
    await writeFile(file, text, { flag: 'wx', mode: FILE_MODE });
  } catch (error) {
    if (propertyOf(error, 'code') !== 'EEXIST') throw error;
    const remedy = "'holdfast stage status' shows it";
    throw new CommandUsageError(`another stage has come up in this folder meanwhile`, remedy);
  }
}

export async function removeState(file: string): Promise<void> {
  await rm(file, { force: true });
}

/** Reads what is recorded; `undefined` when nothing is, or it cannot be read as a stage. */
export async function readState(file: string): Promise<KeptStage | undefined> {
  try {
    const state: KeptStage = JSON.parse(await readFile(file, 'utf8'));
    return typeof propertyOf(state, 'pid') === 'number' ? state : undefined;
  } catch (error) {
    if (propertyOf(error, 'code') === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether the process that keeps it still runs; no other process is taken for it. */
export function isUp(stage: KeptStage): boolean {
  return processStartTime(stage.pid) === stage.processStartTime;
}
