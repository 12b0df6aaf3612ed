import { readFile, rename, writeFile } from 'node:fs/promises';
import { types } from 'node:util';

/** The settings as they were last written; `undefined` where there is no file, or none yet. */
export async function loadSettings(file: string | undefined): Promise<unknown> {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (types.isNativeError(error) && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces the file as a whole, so that whoever dies meanwhile leaves the one or the other. */
export async function saveSettings(file: string | undefined, settings: unknown): Promise<void> {
  if (file === undefined) return;
  const fresh = `${file}.fresh`;
  await writeFile(fresh, JSON.stringify(settings));
  await rename(fresh, file);
}
