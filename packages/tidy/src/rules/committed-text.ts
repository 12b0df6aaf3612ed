import { type Violation, type Repository, matchesIn } from '../repository.ts';

/** Spelled in pieces, so that this file does not violate its own rules. */
export const machineFolders: readonly string[] = ['work', 'root', 'tmp/h', 'Users'].map(
  (folder) => `/${folder}/`,
);
export const marks: readonly string[] = ['TO', 'FIX'].map((verb, at) => verb + ['DO', 'ME'][at]);

const LOCKFILE = 'pnpm-lock.yaml';

/** No file contains a path of the machine it was written on. */
export function noMachineIsNamed(repository: Repository): Violation[] {
  const pattern = new RegExp(String.raw`(?<![\w.~-])(?:${machineFolders.join('|')})`, 'g');
  return repository.files.flatMap((file) =>
    matchesIn(file, pattern, 'names a path of one machine', 'text'),
  );
}

/** No file contains the URL of a package registry: users configure their own. */
export function noRegistryIsNamed(repository: Repository): Violation[] {
  return repository.files.flatMap((file) =>
    matchesIn(file, /https?:\/\/[\w.-]*\bregistry\.[\w-]/g, 'names a registry host', 'text'),
  );
}

/** No comment plans work for later. */
export function nothingIsLeftForLater(repository: Repository): Violation[] {
  const pattern = new RegExp(String.raw`\b(?:${marks.join('|')})\b`, 'g');
  return repository.files
    .filter(({ path }) => path !== LOCKFILE)
    .flatMap((file) =>
      matchesIn(file, pattern, 'do it, or write it where work is planned', 'text'),
    );
}
