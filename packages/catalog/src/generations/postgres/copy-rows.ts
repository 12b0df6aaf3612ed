import type { Pool, Submittable } from '@holdfast/database/pg';
import { abortable } from '@holdfast/foundation';
import { connectBefore } from './connections.ts';
import type { RowBatch } from '../row-batch.ts';

/** What pg's connection has for COPY; its types leave it out. */
interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** One COPY FROM STDIN with all its data, in the form in which pg takes a query of one's own. */
class CopyQuery implements Submittable {
  readonly done: Promise<void>;
  readonly #text: string;
  readonly #data: Buffer;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(text: string, data: Buffer) {
    this.#text = text;
    this.#data = data;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Its caller may have given up.
    this.done.catch(() => undefined);
  }

  submit(connection: object): void {
    copying(connection).query(this.#text);
  }

  handleCopyInResponse(connection: object): void {
    copying(connection).sendCopyFromChunk(this.#data);
    copying(connection).endCopyFrom();
  }

  handleCommandComplete(): void {}

  handleError(error: unknown): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve();
  }
}

function copying(connection: object): CopyConnection {
  if (isCopying(connection)) return connection;
  throw new TypeError('the connection of this pg has no COPY');
}

function isCopying(connection: object): connection is CopyConnection {
  return 'sendCopyFromChunk' in connection && 'endCopyFrom' in connection;
}

/**
 * Loads rows with COPY. At an abort its connection is closed: what the server has received of it may still arrive in
 * this table, which nobody publishes then.
 * @throws the error of pg, or the reason of the signal
 */
export async function copyRows(
  pool: Pool,
  table: string,
  batch: RowBatch,
  signal: AbortSignal,
): Promise<void> {
  const client = await connectBefore(pool, signal);
  let isBroken = true;
  try {
    const text = `copy ${table} ("row", name, document, checksum) from stdin`;
    const query = new CopyQuery(text, Buffer.from(copyText(batch)));
    client.query(query);
    await abortable(query.done, signal);
    isBroken = false;
  } finally {
    client.release(isBroken);
  }
}

/** Text for COPY: columns by tabs, rows by line ends. */
function copyText({ first, names, documents, checksums }: RowBatch): string {
  let text = '';
  for (const [at, document] of documents.entries()) {
    const row = `${first + at}\t${escapedName(names[at] ?? '')}`;
    text += `${row}\t${escapedDocument(document)}\t${checksums[at]}\n`;
  }
  return text;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
};

function escapedName(name: string): string {
  return name.replaceAll(/[\\\t\n\r]/g, (character) => ESCAPES[character] ?? character);
}

/** JSON has no raw tab and no raw line end. */
function escapedDocument(document: string): string {
  return document.includes('\\') ? document.replaceAll('\\', '\\\\') : document;
}
