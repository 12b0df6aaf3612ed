import { type Repository, type Violation, matchesIn } from '../repository.ts';

/** The discriminant of a union is the field `kind`. */
export function unionsAreTaggedByKind({ files }: Repository): Violation[] {
  const member = /\|\s*\{\s*(?:readonly\s+)?(?:at|by|is|name|type)\s*:\s*'[^']*'\s*[;}]/g;
  return files
    .filter(({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path))
    .flatMap((file) => matchesIn(file, member, 'name the discriminant of a union `kind`'));
}
