import { parseRetryAfter } from '@holdfast/foundation';
import { PortalPageInvalidError, PortalResponseError } from '../errors.ts';

/** One page of features, not yet checked. */
export interface PortalPage {
  readonly features: readonly unknown[];
  /** The portal has more than it has sent. */
  readonly isCut: boolean;
}

const OK = 200;
const BAD_REQUEST = 400;

/**
 * The document of a response.
 * @param endpoint for errors: without the query.
 * @throws PortalResponseError for a status, or for a document of ArcGIS with an error; PortalPageInvalidError
 */
export async function readDocument(
  endpoint: string,
  response: Response,
  { maxBytes, epochMs }: { readonly maxBytes: number; readonly epochMs: number },
): Promise<Record<string, unknown>> {
  if (!response.ok) {
    // Nobody reads it, and a connection is free again only after it.
    await response.body?.cancel();
    const header = response.headers.get('retry-after');
    const retryAfterMs = header === null ? undefined : parseRetryAfter(header, epochMs);
    throw new PortalResponseError(endpoint, response.status, retryAfterMs);
  }
  const document = parse(endpoint, await readText(endpoint, response, maxBytes));
  const failure = document['error'];
  if (failure !== undefined) throw new PortalResponseError(endpoint, codeOf(failure));
  return document;
}

/** @throws PortalPageInvalidError for a document without features */
export function pageOf(endpoint: string, document: Record<string, unknown>): PortalPage {
  const { features, exceededTransferLimit, properties } = document;
  if (!Array.isArray(features)) {
    throw new PortalPageInvalidError(endpoint, 'the document has no features');
  }
  // GeoJSON has it among the properties, the format of ArcGIS beside the features.
  const isCut = exceededTransferLimit === true || hasMore(properties);
  if (isCut && features.length === 0) {
    throw new PortalPageInvalidError(endpoint, 'an empty page that says there are more features');
  }
  return { features, isCut };
}

function hasMore(properties: unknown): boolean {
  return (
    typeof properties === 'object' &&
    properties !== null &&
    'exceededTransferLimit' in properties &&
    properties.exceededTransferLimit === true
  );
}

async function readText(endpoint: string, response: Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = '';
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new PortalPageInvalidError(endpoint, `a page of more than ${maxBytes} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parse(endpoint: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value));
  } catch (error) {
    throw new PortalPageInvalidError(endpoint, `no JSON in ${text.length} characters`, error);
  }
  throw new PortalPageInvalidError(endpoint, 'the document is no object');
}

/** A code is a status of HTTP, or one of ArcGIS, which stand for a request that is refused. */
function codeOf(failure: unknown): number {
  if (typeof failure !== 'object' || failure === null || !('code' in failure)) return BAD_REQUEST;
  const { code } = failure;
  return typeof code === 'number' && code > OK ? code : BAD_REQUEST;
}
