import { describeThrown, errorChain, hideCredentials, propertyOf } from '@holdfast/foundation';
import { printable } from './terminal.ts';

const remedies: Readonly<Record<string, string>> = {
  CATALOG_API_UNAUTHORIZED: 'See whether ESIM_GO_API_KEY is the key of this organization',
  CATALOG_UNAVAILABLE:
    "'catalog status' prints what each tier has; 'catalog sync' makes a generation",
  CATALOG_LOCKED: 'Wait for its generation, or try again',
  CATALOG_LOCK_UNAVAILABLE: 'See whether the server that has the lock runs',
  EADDRINUSE: 'Choose another --port',
  EACCES: 'Choose another --port or --directory, or the user who may use it',
  ENOTDIR: 'Choose another --directory',
  EEXIST: 'Choose another --directory',
  EROFS: 'Choose another --directory',
};

/** An error in one line, with what is behind it and the way out. */
export function describe(error: unknown): string {
  const said = messageOf(error);
  const behind = [...errorChain(error)]
    .slice(1)
    .map(messageOf)
    .findLast((each) => each !== '');
  const text = behind === undefined || said.includes(behind) ? said : `${said}: ${behind}`;
  const remedy = remedies[String(propertyOf(error, 'code'))];
  const line = text.startsWith('catalog: ') ? text : `catalog: ${text}`;
  return remedy === undefined ? line : `${line}. ${remedy}`;
}

/** Of anything that was thrown: on one line, and without credentials. */
export function messageOf(thrown: unknown): string {
  return printable(hideCredentials(describeThrown(propertyOf(thrown, 'message') ?? thrown)));
}
