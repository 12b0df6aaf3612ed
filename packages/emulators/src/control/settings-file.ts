import { readFile, rename, writeFile } from 'node:fs/promises';
import { types } from 'node:util';

/** The saved settings; `undefined` without a file. */
export async function loadSettings(file: string | undefined): Promise<unknown> {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (types.isNativeError(error) && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces the file atomically: a crash leaves either the old or the new settings. */
export async function saveSettings(file: string | undefined, settings: unknown): Promise<void> {
  if (file === undefined) return;
  const fresh = `${file}.fresh`;
  await writeFile(fresh, JSON.stringify(settings));
  await rename(fresh, file);
}
