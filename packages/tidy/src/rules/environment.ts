import { type Repository, type Violation, matchesIn } from '../repository.ts';

const DOOR = 'packages/foundation/src/environment.ts';

/** The environment of the process comes in by one door, so that a test can give another one. */
export function environmentHasOneDoor({ files }: Repository): Violation[] {
  return files
    .filter(({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path) && path !== DOOR)
    .flatMap((file) =>
      matchesIn(file, /\bprocess\.env\b/g, 'take `environment` of @holdfast/foundation'),
    );
}
