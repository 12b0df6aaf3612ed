import type { HttpResponse } from '../../serving/http-listener.ts';
import { type S3Call, isoTime, requirePermission, xmlResponse } from './s3-call.ts';
import { byBytes } from '../../object-files/records.ts';
import { s3Error } from '../wire/error.ts';
import type { XmlElement } from '../wire/xml.ts';

const MAX_KEYS = 1_000;

/** What a page of a listing shows: keys, and the prefixes that stand for all keys below them. */
export interface ListPage {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  /** The last key or prefix shown, when there are more. */
  readonly next: string | undefined;
}

/**
 * One page of sorted keys. A key with the delimiter behind the prefix is shown as what lies before the
 * delimiter, once, and counts once.
 * @param after shows what follows this key or prefix only.
 */
export function pageOf(
  sorted: readonly string[],
  {
    prefix,
    delimiter,
    after,
    maxKeys,
  }: { prefix: string; delimiter: string; after: string; maxKeys: number },
): ListPage {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let last: string | undefined;
  if (maxKeys === 0) return { keys, prefixes, next: undefined };
  for (const key of sorted) {
    if (!key.startsWith(prefix)) continue;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const shown = cut === -1 ? key : key.slice(0, cut + delimiter.length);
    if (shown === last || (after !== '' && byBytes(shown, after) <= 0)) continue;
    if (keys.length + prefixes.length === maxKeys) return { keys, prefixes, next: last };
    if (cut === -1) keys.push(key);
    else prefixes.push(shown);
    last = shown;
  }
  return { keys, prefixes, next: undefined };
}

export async function listObjects(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:ListBucket', '');
  const { request, store } = call;
  const { query, bucket } = request;
  const isSecond = query.get('list-type') === '2';
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const maxKeys = countOf(query.get('max-keys'), 'max-keys');
  const token = query.get('continuation-token');
  const startAfter = query.get(isSecond ? 'start-after' : 'marker') ?? '';
  const after = token === undefined ? startAfter : parseToken(token);
  const scope = `${bucket}/`;
  const sorted = store.objects
    .keys()
    .filter((path) => path.startsWith(scope))
    .map((path) => path.slice(scope.length));
  const page = pageOf(sorted, { prefix, delimiter, after, maxKeys });
  const encoding = query.get('encoding-type');
  const shown = encoding === 'url' ? urlEncoded : (text: string): string => text;
  const position: XmlElement[] = isSecond
    ? [
        ['KeyCount', page.keys.length + page.prefixes.length],
        ...(token === undefined ? [] : [['ContinuationToken', token] as const]),
        ...(startAfter === '' ? [] : [['StartAfter', shown(startAfter)] as const]),
        ...(page.next === undefined
          ? []
          : [['NextContinuationToken', tokenOf(page.next)] as const]),
      ]
    : [
        ['Marker', shown(startAfter)],
        ...(page.next === undefined || delimiter === ''
          ? []
          : [['NextMarker', shown(page.next)] as const]),
      ];
  return xmlResponse([
    'ListBucketResult',
    [
      ['Name', bucket],
      ['Prefix', shown(prefix)],
      ...(delimiter === '' ? [] : [['Delimiter', shown(delimiter)] as const]),
      ['MaxKeys', maxKeys],
      ...(encoding === undefined ? [] : [['EncodingType', encoding] as const]),
      ['IsTruncated', page.next !== undefined],
      ...position,
      ...page.keys.map((key) => contentsOf(call, scope + key, shown(key))),
      ...page.prefixes.map((each) => ['CommonPrefixes', [['Prefix', shown(each)]]] as const),
    ],
  ]);
}

function contentsOf({ store }: S3Call, path: string, shown: string): XmlElement {
  const object = store.objects.get(path);
  const { etag = '', size = 0, modifiedMs = 0, checksum } = object ?? {};
  return [
    'Contents',
    [
      ['Key', shown],
      ['LastModified', isoTime(modifiedMs)],
      ['ETag', `"${etag}"`],
      ...(checksum === undefined ? [] : [['ChecksumAlgorithm', checksum.name] as const]),
      ['Size', size],
      ['StorageClass', 'STANDARD'],
    ],
  ];
}

/** A count of a query, from 0 to 1 000, which also stands when there is none. */
export function countOf(given: string | undefined, name: string): number {
  if (given === undefined || given === '') return MAX_KEYS;
  const count = Number(given);
  if (!Number.isInteger(count) || count < 0) throw s3Error('InvalidArgument', `Bad ${name}`);
  return Math.min(count, MAX_KEYS);
}

function tokenOf(shown: string): string {
  return Buffer.from(shown).toString('base64url');
}

function parseToken(token: string): string {
  const shown = Buffer.from(token, 'base64url').toString('utf8');
  if (token === '' || tokenOf(shown) !== token) {
    throw s3Error('InvalidArgument', 'The continuation token provided is incorrect');
  }
  return shown;
}

function urlEncoded(text: string): string {
  return encodeURIComponent(text).replaceAll('%2F', '/');
}
