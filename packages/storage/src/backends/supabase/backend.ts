import {
  type StorageFailure,
  type BackendResult,
  type BodySource,
  type GetOptions,
  type ListOptions,
  type ObjectPage,
  type ObjectContent,
  type ObjectHead,
  type PutOptions,
  type PutReceipt,
  type StorageBackend,
  fail,
  lacksRight,
  needing,
  ok,
} from '../../backend.ts';
import { keyFailure, keyPath, refuseKey, supabaseKeys } from '../../object/key.ts';
import { stampedMetadata } from '../../object/write-stamp.ts';
import { lengthCheckedBody } from '../length-checked-body.ts';
import { epochMsOfDate } from '../date-header.ts';
import { ReadRights } from '../read-rights.ts';
import { SupabaseConnection, addressOf, readJson } from './connection.ts';
import { isRecord, unproven } from './errors.ts';
import { type SupabaseBackendOptions, parseSupabaseOptions } from './options.ts';
import { parseInfo, parsePage } from './replies.ts';
import { abandonUpload, probeExistence, putResumable } from './resumable.ts';

/** A gateway that compresses states the compressed length, and supports no ranges. */
const AS_STORED = { 'accept-encoding': 'identity' } as const;

/** The actions of row level security on `storage.objects` that a call takes, as far as they are not INSERT alone. */
const REPLACE = 'INSERT, SELECT and UPDATE';
const REMOVE = 'SELECT and DELETE';

/**
 * A bucket of Supabase Storage, over its REST interface.
 * @throws InvalidOptionError
 */
export function supabaseBackend(options: SupabaseBackendOptions): StorageBackend {
  const resolved = parseSupabaseOptions(options);
  const { client, url, key } = resolved;
  const address =
    client === undefined
      ? {
          url: `${url.replace(/\/+$/, '')}/storage/v1`,
          headers: { apikey: key, authorization: `Bearer ${key}` },
          fetch: resolved.fetch,
        }
      : addressOf(client);
  return new SupabaseBackend(new SupabaseConnection(address, resolved), resolved);
}

class SupabaseBackend implements StorageBackend {
  readonly name: string;
  readonly bucket: string;
  readonly largeFromBytes: number;
  readonly #bucketPath: string;
  readonly #connection: SupabaseConnection;
  readonly #verifiesDownloads: boolean;
  readonly #rights: ReadRights = new ReadRights();
  /** Whether the client may create objects, and not replace them. */
  #onlyCreates = false;

  constructor(
    connection: SupabaseConnection,
    options: {
      name: string;
      bucket: string;
      largeFromBytes: number;
      verifyDownloads: boolean;
    },
  ) {
    this.#connection = connection;
    this.name = options.name;
    this.bucket = options.bucket;
    this.#bucketPath = encodeURIComponent(options.bucket);
    this.largeFromBytes = options.largeFromBytes;
    this.#verifiesDownloads = options.verifyDownloads;
  }

  refuseKey(key: string): string | undefined {
    return refuseKey(key, supabaseKeys);
  }

  async put(
    key: string,
    body: BodySource,
    options: PutOptions,
  ): Promise<BackendResult<PutReceipt>> {
    const invalid = keyFailure(key, supabaseKeys);
    if (invalid !== undefined) return invalid;
    if (typeof options.condition === 'object') {
      const unmet = await this.#unmet(key, options.condition.version, options.signal);
      if (unmet !== undefined) return unmet;
    }
    const sent = await this.#write(key, body, options);
    if (sent.kind === 'ok') this.#rights.wrote(key);
    return needing(sent.kind === 'conflict' ? 'SELECT' : 'INSERT', sent);
  }

  /**
   * Replacing takes INSERT, SELECT and UPDATE, where the object is absent too; creating takes INSERT alone. A write that
   * must not replace is sent as one that creates.
   */
  async #write(
    key: string,
    body: BodySource,
    options: PutOptions,
  ): Promise<BackendResult<PutReceipt>> {
    const mayReplace = options.condition !== 'absent';
    const createFirst = !mayReplace || this.#onlyCreates;
    const first = await this.#send(key, body, options, !createFirst);
    if (!mayReplace) return first;
    if (createFirst) {
      if (first.kind !== 'conflict') return first;
      const replaced = await this.#send(key, body, options, true);
      if (replaced.kind === 'ok') this.#onlyCreates = false;
      return needing(REPLACE, replaced);
    }
    if (!lacksRight(first)) return first;
    const created = await this.#send(key, body, options, false);
    if (created.kind === 'conflict') return needing(REPLACE, first);
    if (created.kind === 'ok') this.#onlyCreates = true;
    return created;
  }

  async #send(
    key: string,
    body: BodySource,
    options: PutOptions,
    upsert: boolean,
  ): Promise<BackendResult<PutReceipt>> {
    if (body.size > this.largeFromBytes) {
      const { bucket } = this;
      const upload = { bucket, key, body, options, upsert };
      const sent = await putResumable(this.#connection, upload);
      return sent.kind === 'ok' ? this.#proven(key, options) : sent;
    }
    const answered = await this.#connection.requestJson({
      method: 'POST',
      path: `/object/${this.#path(key)}`,
      effect: 'write',
      signal: options.signal,
      body: body.bytes ?? body.open(),
      bytes: body.size,
      headers: {
        'x-upsert': String(upsert),
        'content-type': options.contentType,
        'cache-control': `max-age=${options.maxAgeSeconds}`,
        'x-metadata': Buffer.from(
          JSON.stringify(stampedMetadata(options.stamp, options.metadata)),
        ).toString('base64'),
        ...(body.bytes === undefined && { 'content-length': String(body.size) }),
      },
    });
    if (answered.kind !== 'ok') return answered;
    const { value } = answered;
    if (!isRecord(value)) return unproven('write', 'a body that is no object');
    if (typeof value['Key'] === 'string' && value['Key'] !== `${this.bucket}/${key}`) {
      return fail('invalid', 'the server stored it under another key', { code: 'KeyRewritten' });
    }
    if (typeof value['Id'] !== 'string' || value['Key'] === undefined) {
      return unproven('write', 'no id of the stored object');
    }
    return ok({});
  }

  async get(
    key: string,
    { signal, from = 0, version }: GetOptions,
  ): Promise<BackendResult<ObjectContent>> {
    const invalid = keyFailure(key, supabaseKeys);
    if (invalid !== undefined) return invalid;
    const [answered, known] = await Promise.all([
      this.#connection.request({
        method: 'GET',
        path: `/object/${this.#path(key)}`,
        effect: 'read',
        signal,
        headers: { ...AS_STORED, ...(from > 0 && { range: `bytes=${from}-` }) },
      }),
      this.#verifiesDownloads || version !== undefined ? this.head(key, { signal }) : undefined,
    ]);
    const judged = await this.#judge(key, answered, signal);
    if (judged.kind !== 'ok') return judged;
    const { response, timeout } = judged.value;
    const info = known?.kind === 'ok' ? known.value : undefined;
    if (version !== undefined && info?.version !== version) {
      timeout.end();
      await response.body?.cancel();
      return fail('conflict', 'it has another version');
    }
    const skipped = response.status === 206 ? from : 0;
    const stated = statedLength(response.headers);
    const size = stated === undefined ? info?.size : stated + skipped;
    if (size === undefined) {
      timeout.end();
      await response.body?.cancel();
      return fail('transient', 'a response without a length');
    }
    const contentType = response.headers.get('content-type');
    const cacheControl = response.headers.get('cache-control');
    const head: ObjectHead = {
      key,
      metadata: {},
      ...(contentType !== null && { contentType }),
      ...(cacheControl !== null && { cacheControl }),
      ...info,
      size,
    };
    const body = lengthCheckedBody(key, response.body, {
      skip: from - skipped,
      size: size - skipped,
      timeout,
      // A body that is being read is locked; its reader cancels it.
      release: () => void response.body?.cancel().catch(() => undefined),
    });
    return ok({ head, body });
  }

  async head(key: string, { signal }: { signal: AbortSignal }): Promise<BackendResult<ObjectHead>> {
    const invalid = keyFailure(key, supabaseKeys);
    if (invalid !== undefined) return invalid;
    return this.#judge(key, await this.#describe(key, signal), signal);
  }

  async #describe(key: string, signal: AbortSignal): Promise<BackendResult<ObjectHead>> {
    const begun = await this.#connection.request({
      method: 'GET',
      path: `/object/info/${this.#path(key)}`,
      effect: 'read',
      signal,
    });
    if (begun.kind !== 'ok') return begun;
    const servedAtEpochMs = epochMsOfDate(begun.value.response.headers.get('date'));
    const answered = await readJson(begun.value, 'read');
    if (answered.kind !== 'ok') return answered;
    const head = parseInfo(key, answered.value);
    if (head === undefined) return unproven('read', 'no description of the object');
    return ok({ ...head, ...(servedAtEpochMs !== undefined && { servedAtEpochMs }) });
  }

  /**
   * The result of a read. Row level security answers the same for an object that is absent and for one that is hidden: a
   * client that has written looks at what it wrote.
   */
  async #judge<T>(
    key: string,
    read: BackendResult<T>,
    signal: AbortSignal,
  ): Promise<BackendResult<T>> {
    if (read.kind === 'ok') this.#rights.learned(key, true);
    if (read.kind !== 'notFound' || read.code === 'NoSuchBucket') return needing('SELECT', read);
    const written = this.#rights.takeProbe(key);
    if (written !== undefined) await this.#learnFrom(written, written === key, signal);
    return this.#rights.mayRead(key) === false ? hidden(read.message) : read;
  }

  /** Finds out whether reads are permitted by an object that was written, unless somebody else has removed it. */
  async #learnFrom(written: string, isAbsent: boolean, signal: AbortSignal): Promise<void> {
    if (!isAbsent) {
      const { kind } = await this.#describe(written, signal);
      if (kind === 'ok') this.#rights.learned(written, true);
      if (kind !== 'notFound') return;
    }
    const { bucket } = this;
    const exists = await probeExistence(this.#connection, { bucket, key: written, signal });
    if (exists === true) this.#rights.learned(written, false);
  }

  async remove(
    key: string,
    { signal }: { signal: AbortSignal },
  ): Promise<BackendResult<undefined>> {
    const invalid = keyFailure(key, supabaseKeys);
    if (invalid !== undefined) return invalid;
    const answered = await this.#connection.requestJson({
      method: 'DELETE',
      path: `/object/${this.#bucketPath}`,
      effect: 'write',
      signal,
      body: JSON.stringify({ prefixes: [key] }),
      headers: { 'content-type': 'application/json' },
    });
    if (answered.kind !== 'ok') return needing('DELETE', answered);
    const { value } = answered;
    if (!Array.isArray(value)) return unproven('write', 'no list of what was removed');
    if (value.some((removed) => isRecord(removed) && removed['name'] === key)) return ok(undefined);
    // An empty list: the object did not exist, or a policy hides it.
    const found = await this.head(key, { signal });
    if (found.kind === 'notFound') return ok(undefined);
    if (found.kind === 'denied') {
      const seen = `nothing was removed that can be seen: it takes ${REMOVE}`;
      return fail('denied', seen, { right: REMOVE });
    }
    return found.kind === 'ok'
      ? fail('denied', 'the object is still there: it takes DELETE', { right: 'DELETE' })
      : fail('unknown', `it cannot be seen whether it was removed: ${found.message}`);
  }

  async list(
    prefix: string,
    { signal, limit, cursor }: ListOptions,
  ): Promise<BackendResult<ObjectPage>> {
    const answered = await this.#connection.requestJson({
      method: 'POST',
      path: `/object/list-v2/${this.#bucketPath}`,
      effect: 'read',
      signal,
      body: JSON.stringify({ prefix, limit, ...(cursor !== undefined && { cursor }) }),
      headers: { 'content-type': 'application/json' },
    });
    if (answered.kind !== 'ok') return needing('SELECT', answered);
    const page = parsePage(answered.value);
    if (page === undefined) return unproven('read', 'no list of objects');
    const isHidden = page.objects.length === 0 && this.#rights.mayRead(prefix) === false;
    return isHidden ? hidden('an empty list') : ok(page);
  }

  abandon(
    _key: string,
    saved: unknown,
    { signal }: { signal: AbortSignal },
  ): Promise<BackendResult<undefined>> {
    return abandonUpload(this.#connection, saved, signal);
  }

  /**
   * Reads the object after the last part of a large upload: if it is not ours, the result is unknown. Where it must not
   * be read, the server's word that it has all parts is the proof.
   */
  async #proven(key: string, options: PutOptions): Promise<BackendResult<PutReceipt>> {
    this.#rights.wrote(key);
    const found = await this.head(key, { signal: options.signal });
    if (found.kind === 'denied') return ok({});
    const { operationId } = options.stamp;
    if (found.kind === 'ok' && found.value.stamp?.operationId === operationId) {
      const { version } = found.value;
      return ok(version === undefined ? {} : { version });
    }
    return fail('unknown', 'all parts were taken, but the object is not seen yet');
  }

  /** The server supports the condition `absent` (`x-upsert: false`), but compares no versions. */
  async #unmet(
    key: string,
    expected: string,
    signal: AbortSignal,
  ): Promise<StorageFailure | undefined> {
    const found = await this.head(key, { signal });
    // Who must not look may still write.
    if (found.kind === 'denied') return undefined;
    if (found.kind !== 'ok' && found.kind !== 'notFound') return found;
    const version = found.kind === 'ok' ? found.value.version : undefined;
    return version === expected
      ? undefined
      : fail('conflict', 'it exists in another version, or no longer');
  }

  #path(key: string): string {
    return `${this.#bucketPath}/${keyPath(key)}`;
  }
}

function hidden(seen: string): StorageFailure {
  return fail('denied', `${seen}, for what exists too: it takes SELECT`, { right: 'SELECT' });
}

/** The stated length of a response; `undefined` without one, or when the body is encoded. */
function statedLength(headers: Headers): number | undefined {
  const length = headers.get('content-length');
  const encoding = headers.get('content-encoding') ?? 'identity';
  return length === null || encoding !== 'identity' ? undefined : Number(length);
}
