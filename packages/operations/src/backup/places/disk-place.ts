import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { parseOptions, propertyOf, string } from '@holdfast/foundation';
import type { BackupPlace } from './place.ts';

/** Options of {@link diskPlace}. */
export interface DiskPlaceOptions {
  /** The directory, on a disk other than that of the database. It is made if it is missing. */
  directory: string;
  /** Its name in reports. Default `disk`. */
  name?: string;
}

const MAX_PATH = 4_096;
const MAX_NAME = 100;
const schema = {
  directory: string({ maxLength: MAX_PATH }),
  name: string({ maxLength: MAX_NAME, default: 'disk' }),
};
const UNFINISHED = '.unfinished';

/**
 * A directory. A piece is on the disk, under its own name, before `write` settles.
 *
 * @throws InvalidOptionError
 */
export function diskPlace(options: DiskPlaceOptions): BackupPlace {
  const { directory, name } = parseOptions('diskPlace', schema, options);
  const pathOf = (key: string): string => join(directory, ...key.split('/'));
  return {
    name,
    async write(key, bytes, signal) {
      const path = pathOf(key);
      await mkdir(dirname(path), { recursive: true });
      const unfinished = `${path}${UNFINISHED}`;
      const file = await open(unfinished, 'w', 0o600);
      try {
        await file.writeFile(bytes, { signal });
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(unfinished, path);
      const folder = await open(dirname(path), 'r');
      await folder.sync().finally(async () => folder.close());
    },
    async read(key, signal) {
      try {
        return await readFile(pathOf(key), { signal });
      } catch (error) {
        if (propertyOf(error, 'code') === 'ENOENT') return undefined;
        throw error;
      }
    },
    async list(prefix, signal) {
      signal.throwIfAborted();
      try {
        const entries = await readdir(directory, { recursive: true, withFileTypes: true });
        return entries
          .filter((entry) => entry.isFile() && !entry.name.endsWith(UNFINISHED))
          .map((entry) => join(entry.parentPath, entry.name).slice(join(directory, sep).length))
          .map((path) => path.split(sep).join('/'))
          .filter((key) => key.startsWith(prefix));
      } catch (error) {
        if (propertyOf(error, 'code') === 'ENOENT') return [];
        throw error;
      }
    },
    async remove(keys, signal) {
      for (const key of keys) {
        signal.throwIfAborted();
        await rm(pathOf(key), { force: true });
      }
    },
  };
}
