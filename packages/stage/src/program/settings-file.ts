import { readFile, rename, writeFile } from 'node:fs/promises';

/** The settings as they were last written; `undefined` where there is no file. */
export async function loadSettings(file: string | undefined): Promise<unknown> {
  return file === undefined ? undefined : JSON.parse(await readFile(file, 'utf8'));
}

/** Replaces the file as a whole, so that whoever dies meanwhile leaves the one or the other. */
export async function keepSettings(file: string | undefined, settings: unknown): Promise<void> {
  if (file === undefined) return;
  const fresh = `${file}.fresh`;
  await writeFile(fresh, JSON.stringify(settings));
  await rename(fresh, file);
}
