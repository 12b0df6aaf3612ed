import { type StorageFailure, fail } from '../backend.ts';

/** The keys that a store takes, within the rules that hold for every store. */
interface KeyRules {
  /** The characters of a key, at least those of {@link plain}; absent: any. */
  readonly charset?: { readonly pattern: RegExp; readonly words: string };
}

const MAX_KEY_BYTES = 1_024;
const MAX_SEGMENT_BYTES = 255;

/** C0, DEL and C1; line and paragraph separators; characters that XML cannot contain. */
// oxlint-disable-next-line no-control-regex -- it looks for control characters
const forbidden = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]/u;

/** The form of nearly every key: every rule here permits it, and a URL needs no encoding of it. */
const plain = /^[\w-][\w.-]{0,254}(?:\/[\w-][\w.-]{0,254})*$/;

/** The characters of Supabase Storage's own rule (`isValidKey` in supabase/storage). */
export const supabaseKeys: KeyRules = {
  charset: {
    pattern: /^[\w/!\-.*'() &$@=;:+,?]*$/,
    words: "letters and digits of ASCII, and _/!-.*'() &$@=;:+,?",
  },
};

/** Any Unicode. */
export const anyKeys: KeyRules = {};

/**
 * What a key must be to be stored byte for byte; `undefined` when it is. Decided before any I/O, because
 * clients and servers rewrite keys silently: `a//b` to `a/b`, `x/../y` to `y`, and `../B/s` in bucket A reads
 * bucket B.
 */
export function refuseKey(key: unknown, { charset }: KeyRules): string | undefined {
  if (typeof key !== 'string') return 'a string';
  if (key.length <= MAX_KEY_BYTES && plain.test(key)) return undefined;
  if (key === '') return 'not empty';
  if (!key.isWellFormed()) return 'well-formed Unicode, without lone surrogates';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `at most ${MAX_KEY_BYTES} bytes of UTF-8`;
  if (forbidden.test(key)) return 'free of control characters';
  if (key.includes('\\')) return 'free of backslashes';
  const segments = key.split('/');
  if (segments.includes('')) {
    return 'free of empty segments: no slash at its ends, no two in a row';
  }
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)) {
    return `at most ${MAX_SEGMENT_BYTES} bytes in each segment`;
  }
  if (decodings(key).some((form) => form.split(/[/\\]/).some(isDots))) {
    return 'free of the segments . and .., encoded ones too';
  }
  if (charset !== undefined && !charset.pattern.test(key)) return `made of ${charset.words}`;
  return undefined;
}

/** The failure of a call with a key that cannot be stored. */
export function keyFailure(key: string, rules: KeyRules): StorageFailure | undefined {
  const permitted = refuseKey(key, rules);
  return permitted === undefined ? undefined : fail('invalid', `a key must be ${permitted}`);
}

/** The order of keys in a listing. */
export function compareKeys(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** A key as the path of a URL, each segment percent-encoded. */
export function keyPath(key: string): string {
  if (plain.test(key)) return key;
  return key
    .split('/')
    .map((segment) =>
      encodeURIComponent(segment).replace(
        /[!'()*]/g,
        (mark) => `%${(mark.codePointAt(0) ?? 0).toString(16).toUpperCase()}`,
      ),
    )
    .join('/');
}

function isDots(segment: string): boolean {
  return segment === '.' || segment === '..';
}

/** The key, and its form after one percent-decoding, two, and so on. */
function decodings(key: string): string[] {
  const forms = [key];
  for (let form = key; form.includes('%');) {
    const decoded = form.replaceAll(/%([\da-f]{2})/giu, (_, hex: string) =>
      String.fromCodePoint(Number.parseInt(hex, 16)),
    );
    if (decoded === form) break;
    forms.push(decoded);
    form = decoded;
  }
  return forms;
}
