import {
  type Violation,
  type Repository,
  type RepositoryFile,
  violationAt,
} from '../repository.ts';

const SOURCE = 'packages/stage/src/images.ts';
const COMPOSE = 'docker-compose.test.yml';

interface Image {
  readonly name: string;
  readonly index: number;
}

/** The stage and the compose file name the same images. */
export function imagesAreNamedAlike(repository: Repository): Violation[] {
  const source = repository.find(SOURCE);
  const compose = repository.find(COMPOSE);
  if (source === undefined && compose === undefined) return [];
  if (source === undefined)
    return [{ path: SOURCE, line: 1, message: `is missing beside ${COMPOSE}` }];
  if (compose === undefined)
    return [{ path: COMPOSE, line: 1, message: `is missing beside ${SOURCE}` }];
  const inSource = imagesInSource(source);
  const inCompose = imagesInCompose(compose);
  const lacking = (
    file: RepositoryFile,
    these: Image[],
    those: Image[],
    other: string,
  ): Violation[] =>
    these
      .filter(({ name }) => those.every((image) => image.name !== name))
      .map(({ name, index }) => violationAt(file, index, `${name} is not in ${other}`));
  return [
    ...(inSource.length === 0 ? [violationAt(source, 0, 'names no image')] : []),
    ...lacking(source, inSource, inCompose, COMPOSE),
    ...lacking(compose, inCompose, inSource, SOURCE),
  ];
}

/** Every string of the form `name:tag` in the code of the file. */
function imagesInSource(file: RepositoryFile): Image[] {
  const strings = file.text.matchAll(
    /(['"`])([a-z0-9][\w./-]*:[\w][\w.-]*(?:@sha256:[0-9a-f]{64})?)\1/g,
  );
  return [...strings]
    .filter(({ index, 1: quote }) => file.code[index] === quote)
    .map(({ index, 2: name = '' }) => ({ name, index }));
}

/** `image: name:tag`, or the default of `image: ${VARIABLE:-name:tag}`. */
function imagesInCompose(file: RepositoryFile): Image[] {
  const lines = file.text.matchAll(/^[ \t]*image:[ \t]*(['"]?)(.+?)\1[ \t]*(?:#.*)?$/gm);
  return [...lines].map(({ index, 2: value = '' }) => ({
    name: /^\$\{\w+:?-([^}]+)\}$/.exec(value)?.[1] ?? value,
    index: index + 1,
  }));
}
