const HIDDEN = '***';

/** `scheme://` and everything up to the last @, which may be part of a password. */
const CREDENTIALS =
  /([a-z][a-z0-9+.-]{0,30}:\/\/)(?:[^\s"'<>]{0,4096}@)?([^\s"'<>?@]{0,300})[^\s"'<>]*/giu;

/** The text with the credentials and queries of its URLs hidden. */
export function hideCredentials(text: string): string {
  return text.replace(CREDENTIALS, (url, scheme: string, rest: string) =>
    url.includes('@') || url.includes('?') ? `${scheme}${HIDDEN}@${rest}` : url,
  );
}

/** A value of which nobody knows whether it is a secret: what may be shown of it. */
export function hideValue(value: unknown): unknown {
  if (typeof value === 'string') return placeOnly(value);
  if (Array.isArray(value)) return value.map(() => HIDDEN);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.keys(value).map((key) => [key, HIDDEN]));
  }
  return typeof value === 'number' || typeof value === 'bigint' ? HIDDEN : value;
}

/** Scheme, host and path of a URL with credentials; of any other text, nothing. */
function placeOnly(text: string): string {
  const [, scheme, place] = /^([a-z][a-z0-9+.-]{0,30}:\/\/)[^?]*@([^@?#]*)/iu.exec(text) ?? [];
  return scheme === undefined ? HIDDEN : `${scheme}${HIDDEN}@${place}`;
}
