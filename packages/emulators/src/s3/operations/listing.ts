import type { HttpResponse } from '../../serving/http-listener.ts';
import { type S3Call, isoTime, requirePermission, xmlResponse } from './s3-call.ts';
import { keysOf, pageOf } from '../../object-files/key-page.ts';
import { s3Error } from '../wire/error.ts';
import type { XmlElement } from '../wire/xml.ts';

const MAX_KEYS = 1_000;

export async function listObjects(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:ListBucket', '');
  const { request, store } = call;
  const { query, bucket } = request;
  const isVersion2 = query.get('list-type') === '2';
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const maxKeys = countOf(query.get('max-keys'), 'max-keys');
  const token = query.get('continuation-token');
  const startAfter = query.get(isVersion2 ? 'start-after' : 'marker') ?? '';
  const after = token === undefined ? startAfter : parseToken(token);
  const page = pageOf(keysOf(store.objects, bucket), { prefix, delimiter, after, maxKeys });
  const encoding = query.get('encoding-type');
  const shown = encoding === 'url' ? urlEncoded : (text: string): string => text;
  const position: XmlElement[] = isVersion2
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
      ...page.keys.map((key) => contentsOf(call, `${bucket}/${key}`, shown(key))),
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

/** A number of the query, at most 1 000, which is also its default. */
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
