import { createClient } from '@supabase/supabase-js';
import { expect, test } from '@jest/globals';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { surfaceOf } from './client-surface.ts';
import { openTestStorage } from '../open-storage.ts';

/** `server`: answered by supabase-js itself, which is given all the options. */
type Verdict = 'honored' | 'refused' | 'server';

const upload = {
  cacheControl: 'honored',
  contentEncoding: 'refused',
  contentType: 'honored',
  duplex: 'honored',
  headers: 'refused',
  metadata: 'honored',
  upsert: 'honored',
} as const;
const listed = {
  cache: 'refused',
  deleteMarkers: 'refused',
  exactMatch: 'refused',
  limit: 'honored',
  noncurrentVersions: 'refused',
  signal: 'honored',
  sortBy: 'honored',
} as const;
const ofServer = (...names: string[]): Record<string, Verdict> =>
  Object.fromEntries(names.map((name) => [name, 'server']));

/** Every method of a bucket of supabase-js with every option: the client must not know another. */
const bucketSurface: Readonly<Record<string, Readonly<Record<string, Verdict>>>> = {
  throwOnError: {},
  setHeader: {},
  upload,
  update: upload,
  download: {
    cache: 'refused',
    cacheNonce: 'honored',
    signal: 'honored',
    transform: 'server',
    versionId: 'refused',
  },
  list: { ...listed, offset: 'honored', search: 'honored' },
  listV2: { ...listed, cursor: 'honored', prefix: 'honored', with_delimiter: 'honored' },
  move: { destinationBucket: 'honored', sourceVersionId: 'refused' },
  copy: {
    copyMetadata: 'honored',
    destinationBucket: 'honored',
    metadata: 'honored',
    sourceVersionId: 'refused',
  },
  info: { versionId: 'refused' },
  exists: {},
  remove: {},
  getPublicUrl: ofServer('cacheNonce', 'download', 'transform', 'versionId'),
  createSignedUrl: ofServer('cacheNonce', 'download', 'transform', 'versionId'),
  createSignedUrls: ofServer('cacheNonce', 'download'),
  createSignedUploadUrl: ofServer('upsert'),
  uploadToSignedUrl: ofServer(...Object.keys(upload)),
  purgeCache: ofServer('cache', 'signal', 'transformations'),
  toBase64: {},
};

test('the facade knows every method and every option of the installed client, and no other', () => {
  const installed = surfaceOf('StorageFileApi', 'BaseApiClient');
  const known = Object.fromEntries(
    Object.entries(bucketSurface).map(([method, options]) => [
      method,
      Object.keys(options).toSorted(),
    ]),
  );
  // A helper of the client for its own requests.
  expect(Object.keys(installed)).toContain('toBase64');
  for (const method of ['encodeMetadata', 'handleOperation']) {
    expect(installed).not.toHaveProperty(method);
  }
  expect(installed).toEqual(known);
});

test('what the client has at run time is in the table too', () => {
  const { storage } = createClient('http://localhost', 'key', {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const bucket: object = storage.from('bucket');
  const internal = new Set([
    'constructor',
    'uploadOrUpdate',
    'prepareUploadFormData',
    'encodeMetadata',
    'handleOperation',
    '_getFinalPath',
    '_removeEmptyFolders',
    'applyTransformOptsToQuery',
  ]);
  const methods: string[] = [];
  for (
    let at: unknown = Object.getPrototypeOf(bucket);
    typeof at === 'object' && at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    methods.push(...Object.getOwnPropertyNames(at).filter((name) => !internal.has(name)));
  }
  expect([...new Set(methods)].toSorted()).toEqual(Object.keys(bucketSurface).toSorted());
});

/** A value of each option that is refused, and one of each that is honored. */
const values: Readonly<Record<string, unknown>> = {
  cacheControl: '60',
  contentEncoding: 'gzip',
  contentType: 'text/x',
  duplex: 'half',
  headers: { 'x-a': 'b' },
  metadata: {},
  upsert: true,
  cacheNonce: 'n',
  signal: new AbortController().signal,
  cache: 'force-cache',
  versionId: 'v',
  sourceVersionId: 'v',
  destinationBucket: 'avatars',
  copyMetadata: false,
  limit: 1,
  offset: 0,
  search: '',
  sortBy: { column: 'name' },
  prefix: '',
  cursor: undefined,
  with_delimiter: true,
  noncurrentVersions: 'include',
  deleteMarkers: 'only',
  exactMatch: true,
};

/** The options of this parameter come last, beside the others. */
const fetchOptions = new Set(['signal', 'cache']);

/** A call of the method with one option. */
function call(
  bucket: object,
  method: string,
  option: string,
  value: unknown,
): PromiseLike<{ error: unknown }> {
  const given = { [option]: value };
  const isFetch = fetchOptions.has(option);
  const options = isFetch ? [undefined, given] : [given];
  const before: Readonly<Record<string, readonly unknown[]>> = {
    upload: ['fresh', 'x'],
    update: ['fresh', 'x'],
    download: ['k'],
    list: [''],
    listV2: [],
    move: ['k', 'k'],
    copy: ['k', 'copied'],
    info: ['k'],
  };
  const run: unknown = Reflect.get(bucket, method);
  if (typeof run !== 'function') throw new TypeError(`no ${method}`);
  return Reflect.apply(run, bucket, [...(before[method] ?? []), ...options]);
}

const cases = Object.entries(bucketSurface).flatMap(([method, options]) =>
  Object.entries(options).flatMap(([option, verdict]) =>
    verdict === 'server' ? [] : [[method, option, verdict] as const],
  ),
);

test.each(cases)('%s with %s is %s', async (method, option, verdict) => {
  const { storage, primary } = await openTestStorage();
  await storage.upload('k', 'x');
  const before = primary.objects.size;
  const bucket = storageClient({ avatars: storage }).from('avatars');
  const result = await call(bucket, method, option, values[option]);
  expect(result).toMatchObject({
    error:
      verdict === 'honored'
        ? null
        : { code: 'STORAGE_NOT_SUPPORTED', status: 501, __isStorageError: true },
  });
  expect(verdict === 'honored' || primary.objects.size === before).toBe(true);
  await storage.close();
});

test.each(['upload', 'download', 'list', 'listV2', 'move', 'copy', 'info'])(
  'an option that %s does not know is an error that names it',
  async (method) => {
    const { storage } = await openTestStorage();
    await storage.upload('k', 'x');
    const bucket = storageClient({ avatars: storage }).from('avatars');
    expect(await call(bucket, method, 'nonsense', 1)).toMatchObject({
      error: { code: 'INVALID_OPTION', message: expect.stringContaining('nonsense') },
    });
    expect(await call(bucket, method, 'versionId', undefined)).toMatchObject({ error: null });
    await storage.close();
  },
);

test('the calls on buckets are refused in words', async () => {
  const client = storageClient({});
  const installed = Object.keys(surfaceOf('StorageBucketApi'));
  expect(installed).toContain('listBuckets');
  for (const method of installed) {
    const run: unknown = Reflect.get(client, method);
    if (typeof run !== 'function') throw new TypeError(`no ${method}`);
    expect(await Reflect.apply(run, client, ['bucket', {}])).toMatchObject({
      data: null,
      error: { code: 'STORAGE_NOT_SUPPORTED', message: expect.stringContaining(method) },
    });
  }
});

test('the refusals that are not options: headers, and versions of an object', async () => {
  const { storage } = await openTestStorage();
  const bucket = storageClient({ avatars: storage }).from('avatars');
  const refused = expect.objectContaining({ code: 'STORAGE_NOT_SUPPORTED' });
  expect(() => bucket.setHeader('x-a', 'b')).toThrow(refused);
  const versions: unknown = [{ path: 'k', versionId: 'v' }];
  const remove: (paths: never) => Promise<unknown> = bucket.remove.bind(bucket);
  expect(await Reflect.apply(remove, bucket, [versions])).toMatchObject({ error: refused });
  expect(await bucket.remove([])).toMatchObject({ error: { code: 'INVALID_OPTION' } });
  await storage.close();
});
