import type { GenerationManifest } from '../../catalog.ts';
import type { FetchedPage, Paging } from '../../client/catalog-client.ts';

/** A page that is in the store. */
export interface PlannedPage extends FetchedPage {
  readonly group: string;
  readonly page: number;
  /** How it was asked for; absent if it was not in this sync, or may not be taken for what the API has. */
  readonly paging?: Paging | undefined;
  /** The name of its chunk. */
  readonly file: string;
  /** Bundles in its chunk: the rows with an identity, in their order. */
  readonly bundles: number;
}

/** A group as it is in a generation. */
export interface PlannedGroup {
  readonly name: string;
  /** Of the generation in which it was fetched. */
  readonly generation: number;
  readonly pages: readonly PlannedPage[];
}

/** What is written into the journal, in this order, again and again: what follows `begun` belongs to it. */
export type PlanRecord =
  | {
      readonly kind: 'begun';
      readonly startedAtEpochMs: number;
      /** The newest generation that was published anywhere; absent in records of earlier versions. */
      readonly after?: number;
    }
  | ({ readonly kind: 'page' } & PlannedPage)
  /** What was fetched of it is of no use. */
  | { readonly kind: 'dropped'; readonly group: string }
  | {
      readonly kind: 'published';
      readonly manifest: GenerationManifest;
      readonly groups: readonly {
        readonly name: string;
        readonly generation: number;
        readonly pages: readonly number[];
      }[];
    };

const NEWLINE = 10;

/** A line of JSON; after it the identities of a page. */
export function encodeRecord(record: PlanRecord): Uint8Array {
  if (record.kind !== 'page') return Buffer.from(JSON.stringify(record));
  const { identities, ...rest } = record;
  const { buffer, byteOffset, byteLength } = identities;
  const line = Buffer.from(`${JSON.stringify(rest)}\n`);
  return Buffer.concat([line, Buffer.from(buffer, byteOffset, byteLength)]);
}

export function decodeRecord(payload: Uint8Array): PlanRecord {
  const end = payload.indexOf(NEWLINE);
  const line = Buffer.from(end === -1 ? payload : payload.subarray(0, end)).toString();
  const record: PlanRecord = JSON.parse(line);
  if (record.kind !== 'page') return record;
  // Aligned, and without the memory of its neighbors.
  const bytes = new Uint8Array(payload.subarray(end + 1));
  return { ...record, identities: new Uint32Array(bytes.buffer) };
}
