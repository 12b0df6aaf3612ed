import { pathToFileURL } from 'node:url';
import type { OpenPool } from '@holdfast/database/probes';
import { propertyOf } from '@holdfast/foundation';
import { ScoredModuleError } from '../errors.ts';

/** A queue that is scored: it accepts numbered jobs and hands them to a handler. */
interface ScoredQueue {
  /** Resolves once the job is accepted: from then on it must not be lost. */
  add(job: number): Promise<unknown>;
  /** Starts a worker that runs the handler for each job. */
  work(handler: (job: number) => void): unknown;
  close(): Promise<unknown>;
}

/** The default export of a queue's module. */
export type OpenScoredQueue = (server: {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** An empty folder for files of its own. */
  readonly directory: string;
}) => ScoredQueue | Promise<ScoredQueue>;

/** A storage that is scored. */
interface ScoredStorage {
  /** Resolves once the object is accepted: from then on it must not be lost. */
  upload(path: string, body: Uint8Array): Promise<unknown>;
  download(path: string): Promise<Uint8Array>;
  close(): Promise<unknown>;
}

/** The default export of a storage's module. */
export type OpenScoredStorage = (server: {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** An empty folder for files of its own. */
  readonly directory: string;
}) => ScoredStorage | Promise<ScoredStorage>;

/** What each kind of module exports as its default. */
interface OpenByKind {
  readonly queue: OpenScoredQueue;
  readonly database: OpenPool;
  readonly storage: OpenScoredStorage;
}

export type ScoredKind = keyof OpenByKind;

const methods: Readonly<Record<ScoredKind, readonly string[]>> = {
  queue: ['add', 'work', 'close'],
  database: ['query', 'acquire', 'transaction', 'end'],
  storage: ['upload', 'download', 'close'],
};

/** What a module has to export, for errors and `--help`. */
export function describeExport(kind: ScoredKind): string {
  return `Its default export is a function that returns an object with ${methods[kind].join(', ')}.`;
}

/**
 * Imports a module; each call of its default export is checked to return what is scored.
 * @throws ScoredModuleError
 */
export async function importScored<K extends ScoredKind>(
  kind: K,
  path: string,
): Promise<OpenByKind[K]> {
  let module: unknown;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    const said = String(propertyOf(error, 'message') ?? error);
    throw new ScoredModuleError(
      `${path} throws when it is imported: ${said}`,
      describeExport(kind),
    );
  }
  const open = propertyOf(module, 'default');
  if (typeof open !== 'function') {
    const names = Object.keys(Object(module)).join(', ') || 'nothing';
    throw new ScoredModuleError(
      `${path} has no function as its default export; it exports ${names}`,
      describeExport(kind),
    );
  }
  const checked = async (...given: unknown[]): Promise<unknown> => {
    const opened: unknown = await Reflect.apply(open, undefined, given);
    const missing = methods[kind].filter((name) => typeof propertyOf(opened, name) !== 'function');
    if (missing.length === 0) return opened;
    throw new ScoredModuleError(
      `${path} returns an object without ${missing.join(', ')}`,
      describeExport(kind),
    );
  };
  // Its methods were looked for; what they do is what the probes find out.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing more is known of a foreign module
  return checked as OpenByKind[K];
}
