import { type Repository, type Violation, matchesIn } from '../repository.ts';

/** The members of a union are told apart by the field `kind`. */
export function unionsAreTaggedByKind({ files }: Repository): Violation[] {
  const member = /\|\s*\{\s*(?:readonly\s+)?(?:at|by|is|name|type)\s*:\s*'[^']*'\s*[;}]/g;
  return files
    .filter(({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path))
    .flatMap((file) => matchesIn(file, member, 'call the tag of a union `kind`'));
}
