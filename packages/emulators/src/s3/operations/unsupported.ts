import { s3Error } from '../wire/error.ts';
import type { S3Request } from '../wire/request.ts';

/** Subresources that this server does not implement. */
const SUBRESOURCES: readonly string[] = [
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'partNumber',
  'policyStatus',
  'publicAccessBlock',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'tagging',
  'torrent',
  'versionId',
  'versioning',
  'versions',
  'website',
];

/** What the refusals of some of them say besides. */
const reasons: Readonly<Record<string, string>> = {
  acl: 'it has bucket policies, and no access control lists',
  tagging: 'it keeps no tags',
  versioning: 'it keeps one version of each object',
  versions: 'it keeps one version of each object',
  versionId: 'it keeps one version of each object',
};

/**
 * Headers that ask for something this server does not do: to drop them would pretend that it did.
 * A header is permitted with the values that describe what happens anyway.
 */
const headers: readonly (readonly [name: string, reason: string, permitted?: readonly string[]])[] =
  [
    ['x-amz-server-side-encryption', 'it encrypts nothing'],
    ['x-amz-copy-source-server-side-encryption', 'it encrypts nothing'],
    ['x-amz-tagging', 'it keeps no tags'],
    ['x-amz-object-lock', 'it locks no objects'],
    ['x-amz-bucket-object-lock-enabled', 'it locks no objects', ['false']],
    ['x-amz-bypass-governance-retention', 'it locks no objects', ['false']],
    ['x-amz-acl', 'it has no access control lists', ['private', 'bucket-owner-full-control']],
    ['x-amz-grant-', 'it has no access control lists'],
    ['x-amz-object-ownership', 'it has no access control lists', ['BucketOwnerEnforced']],
    ['x-amz-storage-class', 'it has one storage class', ['STANDARD']],
    ['x-amz-website-redirect-location', 'it serves no websites'],
    ['x-amz-expected-bucket-owner', 'it has no accounts with numbers'],
  ];

/** @throws S3Error NotImplemented for a request whose effect would be another than it asks for */
export function assertImplemented(request: S3Request, operation: string | undefined): void {
  const { method } = request;
  for (const name of SUBRESOURCES) {
    if (!request.query.has(name)) continue;
    if (name === 'partNumber' && operation?.startsWith('UploadPart') === true) continue;
    if (name === 'versioning' && operation === 'GetBucketVersioning') continue;
    const reason = reasons[name];
    const refusal = `This server does not implement ${method} ?${name}`;
    throw s3Error('NotImplemented', `${refusal}${reason === undefined ? '' : `: ${reason}`}.`);
  }
  for (const [prefix, reason, permitted = []] of headers) {
    for (const [rest, value] of Object.entries(request.headersUnder(prefix))) {
      if (permitted.includes(value)) continue;
      throw s3Error(
        'NotImplemented',
        `This server does not implement the header ${prefix}${rest}: ${reason}.`,
      );
    }
  }
}
