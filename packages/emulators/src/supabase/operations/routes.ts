import type { HttpResponse } from '../../serving/http-listener.ts';
import {
  createBucket,
  deleteBucket,
  emptyBucket,
  getBucket,
  listBuckets,
  updateBucket,
} from './buckets.ts';
import { type StorageCall, jsonResponse } from './storage-call.ts';
import { list, listV2 } from './listing.ts';
import { copy, move, removeMany, removeOne } from './objects.ts';
import { download, downloadPublic, info, infoPublic } from './download.ts';
import {
  createResumable,
  deleteResumable,
  describeResumable,
  headResumable,
  patchResumable,
} from './resumable-upload.ts';
import {
  downloadSigned,
  signDownload,
  signDownloads,
  signUpload,
  uploadSigned,
} from './signed-urls.ts';
import { supabaseError } from '../error.ts';
import { upload } from './upload.ts';

/** As on a server without a CDN. */
async function purgeCache(): Promise<HttpResponse> {
  throw supabaseError(
    'MissingParameter',
    'Missing Required Parameter CDN_PURGE_ENDPOINT_URL is not set',
  );
}

/** The operation of a request, and its bucket and key. */
export interface Route {
  /** The name that fault hooks and logs use. */
  readonly operation: string;
  readonly perform: (call: StorageCall) => Promise<HttpResponse>;
  readonly bucket: string;
  readonly key: string;
  /** Whether the route needs no token of the caller: it has a token of its own, or none. */
  readonly isOpen: boolean;
}

type Row = readonly [
  methods: string,
  path: string,
  operation: string,
  perform: Route['perform'],
  isOpen?: 'open',
];

/** `:b` matches a bucket; `*` the rest: a key, or the id of a resumable upload. The first match counts. */
const ROUTES: readonly Row[] = [
  ['GET', 'status', 'status', async () => jsonResponse({}), 'open'],
  ['GET', 'health', 'status', async () => jsonResponse({ healthy: true }), 'open'],
  ['GET', 'bucket', 'listBuckets', listBuckets],
  ['POST', 'bucket', 'createBucket', createBucket],
  ['POST', 'bucket/:b/empty', 'emptyBucket', emptyBucket],
  ['GET', 'bucket/:b', 'getBucket', getBucket],
  ['PUT', 'bucket/:b', 'updateBucket', updateBucket],
  ['DELETE', 'bucket/:b', 'deleteBucket', deleteBucket],
  ['OPTIONS', 'upload/resumable', 'describeResumable', describeResumable, 'open'],
  ['POST', 'upload/resumable/sign', 'createResumable', createResumable, 'open'],
  ['POST', 'upload/resumable', 'createResumable', createResumable],
  ['HEAD', 'upload/resumable/sign/*', 'headResumable', headResumable, 'open'],
  ['PATCH', 'upload/resumable/sign/*', 'patchResumable', patchResumable, 'open'],
  ['DELETE', 'upload/resumable/sign/*', 'deleteResumable', deleteResumable, 'open'],
  ['HEAD', 'upload/resumable/*', 'headResumable', headResumable],
  ['PATCH', 'upload/resumable/*', 'patchResumable', patchResumable],
  ['DELETE', 'upload/resumable/*', 'deleteResumable', deleteResumable],
  ['POST', 'object/list/:b', 'list', list],
  ['POST', 'object/list-v2/:b', 'listV2', listV2],
  ['POST', 'object/copy', 'copy', copy],
  ['POST', 'object/move', 'move', move],
  ['POST', 'object/upload/sign/:b/*', 'signUpload', signUpload],
  ['PUT', 'object/upload/sign/:b/*', 'uploadSigned', uploadSigned, 'open'],
  ['POST', 'object/sign/:b/*', 'signDownload', signDownload],
  ['POST', 'object/sign/:b', 'signDownloads', signDownloads],
  ['GET HEAD', 'object/sign/:b/*', 'downloadSigned', downloadSigned, 'open'],
  ['GET HEAD', 'object/public/:b/*', 'downloadPublic', downloadPublic, 'open'],
  ['GET HEAD', 'object/authenticated/:b/*', 'download', download],
  ['GET', 'object/info/public/:b/*', 'info', infoPublic, 'open'],
  ['GET', 'object/info/authenticated/:b/*', 'info', info],
  ['GET', 'object/info/:b/*', 'info', info],
  ['GET HEAD', 'object/:b/*', 'download', download],
  ['POST PUT', 'object/:b/*', 'upload', upload],
  ['DELETE', 'object/:b/*', 'remove', removeOne],
  ['DELETE', 'cdn/:b/*', 'purgeCache', purgeCache],
  ['DELETE', 'object/:b', 'remove', removeMany],
];

/** `undefined` for a path outside the API. */
export function routeOf(method: string, path: string): Route | undefined {
  for (const [methods, pattern, operation, perform, open] of ROUTES) {
    if (!methods.split(' ').includes(method)) continue;
    const found = matchPath(pattern.split('/'), path);
    if (found !== undefined) return { operation, perform, ...found, isOpen: open === 'open' };
  }
  return undefined;
}

function matchPath(
  pattern: readonly string[],
  path: string,
): { bucket: string; key: string } | undefined {
  let [rest, bucket] = [path, ''];
  for (const [at, word] of pattern.entries()) {
    if (word === '*') return rest === '' ? undefined : { bucket, key: rest };
    const slash = rest.indexOf('/');
    const segment = slash === -1 ? rest : rest.slice(0, slash);
    if (word === ':b' ? segment === '' : segment !== word) return undefined;
    if (word === ':b') bucket = segment;
    const isLast = at === pattern.length - 1;
    if (isLast !== (slash === -1)) return undefined;
    rest = rest.slice(segment.length + 1);
  }
  return { bucket, key: '' };
}
