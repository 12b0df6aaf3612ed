import { createHash } from 'node:crypto';
import { describeThrown, describeValue, propertyOf } from '@holdfast/foundation';
import type { Bundle } from '../catalog.ts';
import type { PageCounts, PageDigest } from './catalog-client.ts';
import { IDENTITY_WORDS, writeIdentity } from './rows/name-table.ts';
import { nameOf, parseBundle } from './rows/parse-bundle.ts';
import { isFields } from './rows/parse-countries.ts';
import { Rejections } from './rows/rejections.ts';
import { isSuspiciousText } from './rows/row-size.ts';

/** A response, of which only the hash is known so far. */
export interface HashedBody extends PageCounts {
  readonly bytes: Uint8Array;
  readonly sha256: string;
  /** Whether `rows` was read without the rows: `false` where the counts may be elsewhere. */
  readonly isCounted: boolean;
}

/** A row that is valid, and where it is in the page. */
export interface PlacedBundle {
  readonly row: number;
  readonly bundle: Bundle;
}

export interface ParsedPage extends PageCounts, Pick<PageDigest, 'identities'> {
  readonly rowCount: number;
  readonly bundles: PlacedBundle[];
  readonly rejections: Rejections;
}

/** A body that is no page. */
interface MalformedPage {
  readonly reason: string;
  readonly cause?: unknown;
}

const CLOSING = 0x5d;
const OPENING = 0x5b;
const OPENING_OBJECT = 0x7b;
const NO_COUNTS: PageCounts = { rows: undefined, pageCount: undefined };

/**
 * Hashes the rows without parsing them: up to the last bracket. The counts of the known envelope come after it, so that
 * one more row in the group does not change the hash of every page.
 */
export function hashBody(bytes: Uint8Array): HashedBody {
  const end = bytes.lastIndexOf(CLOSING) + 1;
  const sha256 = createHash('sha256').update(bytes.subarray(0, end)).digest('hex');
  const first = bytes.find((byte) => byte > 0x20);
  const tail = Buffer.from(bytes.buffer, bytes.byteOffset + end, bytes.length - end).toString();
  if (first === OPENING && tail.trim() === '') {
    return { bytes, sha256, ...NO_COUNTS, isCounted: true };
  }
  const counts = first === OPENING_OBJECT ? countsOfTail(tail) : NO_COUNTS;
  return { bytes, sha256, ...counts, isCounted: counts.rows !== undefined };
}

function countsOfTail(tail: string): PageCounts {
  try {
    return countsOf(JSON.parse(`{${tail.replace(/^\s*,/, '')}`));
  } catch {
    return NO_COUNTS;
  }
}

function countsOf(envelope: unknown): PageCounts {
  const rows = countOf(propertyOf(envelope, 'rows'));
  return { rows, pageCount: countOf(propertyOf(envelope, 'pageCount')) };
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** Parses and validates one response: an object with `bundles`, or an array. */
export function parsePage(bytes: Uint8Array, page: number): ParsedPage | MalformedPage {
  let text: string;
  let envelope: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    envelope = JSON.parse(text);
  } catch (error) {
    return { reason: `no JSON of UTF-8 (${describeThrown(error).slice(0, 200)})`, cause: error };
  }
  const list: unknown = Array.isArray(envelope) ? envelope : propertyOf(envelope, 'bundles');
  if (!Array.isArray(list)) {
    const seen = isFields(envelope) ? `bundles is ${describeValue(list)}` : describeValue(envelope);
    return { reason: `neither an array nor an object with bundles (${seen})` };
  }
  const isSuspicious = isSuspiciousText(text);
  const identities = new Uint32Array(list.length * IDENTITY_WORDS);
  const rejections = new Rejections();
  const bundles: PlacedBundle[] = [];
  list.forEach((given: unknown, row) => {
    const name = nameOf(given);
    const bundle = parseBundle(
      given,
      (why) => rejections.add({ ...why, page, row, name }),
      isSuspicious,
    );
    if (bundle === undefined) return;
    writeIdentity(identities, row, bundle);
    bundles.push({ row, bundle });
  });
  return { ...countsOf(envelope), rowCount: list.length, bundles, identities, rejections };
}
