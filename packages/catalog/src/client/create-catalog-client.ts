import {
  type Emitter,
  type EventKinds,
  abortable,
  createEmitter,
  isHoldfastError,
  propertyOf,
  requireNode,
} from '@holdfast/foundation';
import { type ResilientFetch, createResilientFetch } from '@holdfast/network';
import type {
  CatalogClient,
  CatalogClientEvents,
  CatalogClientOptions,
  CatalogClientStats,
  CatalogFetch,
  CatalogItem,
  FetchBundlesOptions,
  GroupFailed,
  Paging,
} from './catalog-client.ts';
import {
  CatalogClientClosedError,
  CatalogMalformedError,
  CatalogApiError,
  CatalogRateLimitedError,
  CatalogShrunkError,
  CatalogTimeoutError,
  CatalogUnauthorizedError,
  CatalogUnreachableError,
} from './errors.ts';
import { GroupFetch, type GroupOptions } from './fetch-group.ts';
import { type CatalogClientSettings, parseClientOptions } from './options.ts';
import { type PageRefusal, isRefusal, probePaging } from './paging.ts';
import { Rejections } from './rows/rejections.ts';
import { Requests } from './requests.ts';

const eventKinds: EventKinds<CatalogClientEvents> = {
  alert: true,
  'server-error': true,
  retried: true,
  'rate-limited': true,
  probed: true,
  drifted: true,
  rejected: true,
};

const GROUPS_PATH = '/organisation/groups';
const MAX_GROUPS = 10_000;
const MAX_GROUP_NAME = 500;
/** Groups that failed one after the other for want of any answer; the rest is not asked for. */
const MAX_SILENT_GROUPS = 2;

/** Groups that had no answer, one after the other. */
interface Silence {
  readonly error: CatalogApiError;
  readonly groups: number;
}

/**
 * Makes a client of the eSIM Go API. It connects at the first call.
 * @throws InvalidOptionError
 */
export function createCatalogClient(options: CatalogClientOptions): CatalogClient {
  requireNode('createCatalogClient');
  return new HttpCatalogClient(parseClientOptions(options));
}

class HttpCatalogClient implements CatalogClient {
  readonly #settings: CatalogClientSettings;
  readonly #emitter: Emitter<CatalogClientEvents> = createEmitter(
    'holdfast:catalog-client',
    eventKinds,
  );
  readonly #requests: Requests;
  readonly #ownFetch: ResilientFetch | undefined;
  readonly #closing = new AbortController();
  readonly #counts = { pages: 0, unchangedPages: 0 };
  #paging: Paging | undefined;
  readonly on: CatalogClient['on'] = this.#emitter.on;

  constructor(settings: CatalogClientSettings) {
    this.#settings = settings;
    this.#ownFetch = settings.fetch === undefined ? openFetch(settings) : undefined;
    const fetch: CatalogFetch = settings.fetch ?? this.#ownFetch ?? globalThis.fetch;
    this.#requests = new Requests({ settings, fetch, emitter: this.#emitter });
  }

  async listGroups(options: { signal?: AbortSignal } = {}): Promise<readonly string[]> {
    const signal = this.#signalOf(options.signal);
    const body = await this.#requests.get(GROUPS_PATH, signal);
    return parseGroups(body);
  }

  async *fetchBundles(
    options: FetchBundlesOptions = {},
  ): AsyncGenerator<CatalogItem, void, undefined> {
    const controller = new AbortController();
    const signal = AbortSignal.any([this.#signalOf(options.signal), controller.signal]);
    this.#paging ??= options.interrupted?.paging;
    try {
      const groups = options.groups ?? (await this.listGroups({ signal }));
      let silent: Silence | undefined;
      for (const group of groups) {
        if (silent !== undefined && silent.groups >= MAX_SILENT_GROUPS) {
          yield failed(group, silent.error);
          continue;
        }
        for await (const item of this.#fetchGroup(group, { ...options, signal })) {
          if (item.kind === 'fetched') silent = undefined;
          if (item.kind === 'failed') {
            const { error } = item;
            silent = silenceAfter(error, silent?.groups ?? 0);
          }
          yield item;
        }
      }
      yield* this.#missing(groups, options);
    } finally {
      controller.abort(new CatalogClientClosedError());
    }
  }

  getStats(): CatalogClientStats {
    return { ...this.#requests.counts, ...this.#counts, paging: this.#paging };
  }

  async close(): Promise<void> {
    this.#closing.abort(new CatalogClientClosedError());
    await this.#ownFetch?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #signalOf(signal: AbortSignal | undefined): AbortSignal {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const closing = this.#closing.signal;
    return signal === undefined ? closing : AbortSignal.any([signal, closing]);
  }

  async *#fetchGroup(
    group: string,
    options: FetchBundlesOptions & { readonly signal: AbortSignal },
  ): AsyncGenerator<CatalogItem, void, undefined> {
    const { signal } = options;
    if (this.#paging !== undefined) {
      const refusal = yield* this.#run(group, this.#paging, { ...options, isRemembered: true });
      if (refusal === undefined) return;
      this.#paging = undefined;
    }
    let paging: Paging;
    try {
      paging = await this.#probe(group, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CatalogUnauthorizedError || !(error instanceof CatalogApiError)) {
        throw error;
      }
      yield failed(group, error);
      return;
    }
    yield* this.#run(group, paging, { ...options, isRemembered: false });
  }

  async *#run(
    group: string,
    paging: Paging,
    options: GroupOptions,
  ): AsyncGenerator<CatalogItem, PageRefusal | undefined, undefined> {
    const deps = {
      settings: this.#settings,
      requests: this.#requests,
      emitter: this.#emitter,
      counts: this.#counts,
    };
    const items = new GroupFetch(deps, group, paging, options).run();
    try {
      while (true) {
        const { done, value } = await items.next();
        if (done === true) return value;
        // It may have been misread while the group changed.
        if (value.kind === 'failed' && mayBeMisread(value)) this.#paging = undefined;
        yield value;
      }
    } finally {
      await items.return(undefined);
    }
  }

  async #probe(group: string, signal: AbortSignal): Promise<Paging> {
    const probing = probePaging(this.#requests, group, this.#settings.perPage, signal);
    const { paging, isCertain } = await abortable(probing, signal);
    if (isCertain) {
      this.#paging = paging;
      this.#emitter.emit('probed', paging);
    }
    return paging;
  }

  /** Groups of the last generation that the API does not list any more. */
  *#missing(
    groups: readonly string[],
    { previousRows, allowShrink, groups: chosen }: FetchBundlesOptions,
  ): Generator<GroupFailed> {
    if (chosen !== undefined || allowShrink === true) return;
    const listed = new Set(groups);
    for (const [group, rows] of previousRows ?? []) {
      if (rows === 0 || listed.has(group)) continue;
      yield failed(group, new CatalogShrunkError(group, 0, rows));
    }
  }
}

function openFetch({ timeoutMs, maxPageBytes }: CatalogClientSettings): ResilientFetch {
  return createResilientFetch({
    // The client has the deadline; this one is only the last resort.
    timeoutMs: timeoutMs + 1_000,
    maxBodyBytes: maxPageBytes,
    // What it would try again itself, the pacer would not know of.
    retry: { maxAttempts: 1 },
    circuitBreaker: false,
  });
}

function failed(group: string, error: GroupFailed['error']): GroupFailed {
  return { kind: 'failed', group, error, rejections: new Rejections() };
}

/** A refusal of everything until later counts like any number of them. */
function silenceAfter(error: GroupFailed['error'], groups: number): Silence | undefined {
  if (error instanceof CatalogRateLimitedError) return { error, groups: MAX_SILENT_GROUPS };
  const isLost = error instanceof CatalogTimeoutError || error instanceof CatalogUnreachableError;
  return isLost ? { error, groups: groups + 1 } : undefined;
}

function mayBeMisread({ error }: GroupFailed): boolean {
  return isRefusal(error) || (isHoldfastError(error) && error.code === 'CATALOG_GROUP_DRIFTED');
}

/** The names of `{ groups: [{ name }] }`, of an array of such, or of strings. */
function parseGroups(body: Uint8Array): readonly string[] {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new CatalogMalformedError(GROUPS_PATH, 'no JSON of UTF-8', error);
  }
  const list: unknown = Array.isArray(answer) ? answer : propertyOf(answer, 'groups');
  if (!Array.isArray(list) || list.length > MAX_GROUPS) {
    throw new CatalogMalformedError(GROUPS_PATH, `groups is no array of up to ${MAX_GROUPS}`);
  }
  const names = list.map((group: unknown) =>
    typeof group === 'string' ? group : propertyOf(group, 'name'),
  );
  const valid = names.filter((name) => typeof name === 'string');
  const isSound = valid.every((name) => name !== '' && name.length <= MAX_GROUP_NAME);
  if (valid.length !== names.length || !isSound) {
    throw new CatalogMalformedError(GROUPS_PATH, 'a group has no name');
  }
  return [...new Set(valid)];
}
