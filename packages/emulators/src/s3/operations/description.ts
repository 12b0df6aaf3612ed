import { s3Error } from '../wire/error.ts';
import type { S3Request } from '../wire/request.ts';
import type { ObjectDescription } from '../store.ts';

/** Headers of a write that every read returns. */
const KEPT = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
];
/** The limit of all names and values of the metadata together, as S3 counts them. */
const MAX_METADATA_BYTES = 2_048;

/** The metadata of a written object. @throws S3Error MetadataTooLarge */
export function describeObject(request: S3Request): ObjectDescription {
  const headers: Record<string, string> = {};
  for (const name of KEPT) {
    const value = request.header(name);
    const kept = name === 'content-encoding' ? withoutFraming(value) : value;
    if (kept !== undefined) headers[name] = kept;
  }
  const metadata = request.headersUnder('x-amz-meta-');
  let size = 0;
  for (const [name, value] of Object.entries(metadata)) size += name.length + value.length;
  if (size > MAX_METADATA_BYTES) throw s3Error('MetadataTooLarge');
  return { headers, metadata };
}

/** `aws-chunked` is the framing of the request, not an encoding of the object. */
function withoutFraming(encoding: string | undefined): string | undefined {
  const left = encoding
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== 'aws-chunked' && each !== '');
  return left === undefined || left.length === 0 ? undefined : left.join(',');
}
