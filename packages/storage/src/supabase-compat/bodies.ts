import { InvalidBodyError } from '../errors.ts';
import type { Body } from '../object/body.ts';

/** The bodies of supabase-js, and those of this package. A stream is read once, into the journal. */
export type BucketBody =
  | Body
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>
  | FormData
  | URLSearchParams;

/** A body, and what it says about itself. */
interface DescribedBody {
  readonly body: Body;
  readonly contentType: string;
  /** The fields of a form. */
  readonly cacheControl?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What supabase-js says of a body that does not say it. */
const TEXT = 'text/plain;charset=UTF-8';
/** What it says of a Blob without a type. */
const BYTES = 'application/octet-stream';

/** @throws InvalidBodyError for a form without exactly one file */
export function describeBody(key: string, given: BucketBody): DescribedBody {
  if (given instanceof FormData) return fileOf(key, given);
  if (given instanceof Blob) return { body: given, contentType: given.type || BYTES };
  if (given instanceof URLSearchParams) return { body: String(given), contentType: TEXT };
  return { body: isStream(given) ? () => readOnce(key, given) : given, contentType: TEXT };
}

/** @throws InvalidBodyError for a stream that fails, or was read before */
async function* readOnce(
  key: string,
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (cause) {
    const seen = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidBodyError(key, `the stream could not be read: ${seen}`, { cause });
  }
}

function fileOf(key: string, form: FormData): DescribedBody {
  const files = [...form.values()].filter((value) => typeof value !== 'string');
  const [file] = files;
  if (file === undefined || files.length > 1) {
    throw new InvalidBodyError(key, `the form has ${files.length} files; give one`);
  }
  const text = (name: string): string | undefined => {
    const value = form.get(name);
    return typeof value === 'string' ? value : undefined;
  };
  const [cacheControl, metadata] = [text('cacheControl'), text('metadata')];
  if (text('contentEncoding') !== undefined) {
    throw new InvalidBodyError(
      key,
      'the form has a contentEncoding, and none is kept; leave it out',
    );
  }
  return {
    body: file,
    contentType: text('contentType') ?? (file.type || BYTES),
    ...(cacheControl !== undefined && { cacheControl }),
    ...(metadata !== undefined && { metadata: metadataIn(key, metadata) }),
  };
}

/** @throws InvalidBodyError */
function metadataIn(key: string, text: string): Readonly<Record<string, string>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isTexts(value)) return value;
  } catch {
    // Throws below.
  }
  throw new InvalidBodyError(key, 'the metadata of the form is no JSON object of strings');
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
