import { createEmitter, InvalidOptionError, propertyOf } from '@holdfast/foundation';
import { createRetryBudget } from '@holdfast/resilience';
import { NetworkClosedError } from '../errors.ts';
import type { ManagedDialer } from '../dialing/dialer.ts';
import type { AddressesChanged, Dialer } from '../network.ts';
import { ACCEPTED_ENCODINGS } from './body/inflate.ts';
import { FetchCall, type FetchCallDeps } from './calls/call.ts';
import { Origins } from './calls/origin.ts';
import { parseRequest } from './calls/request.ts';
import type { ConnectionSource } from './connections/connection.ts';
import { type DialingParts, openDialing } from './connections/default-dialer.ts';
import { ConnectionPool } from './connections/connection-pool.ts';
import { LIMITATIONS, PlatformFetch } from './connections/platform-fetch.ts';
import { loadUndici, OLDEST_UNDICI } from './connections/undici-client.ts';
import { type FetchSettings, parseFetchOptions, refuseWithoutDialing } from './options.ts';
import {
  type ResilientFetch,
  type ResilientFetchEvents,
  type ResilientFetchOptions,
  type ResilientFetchStats,
  type ResilientRequestInit,
  type ResilientResponse,
  resilientFetchEventKinds,
} from './resilient-fetch.ts';

/**
 * Makes a function shaped like `fetch`, see {@link ResilientFetch}. It loads undici, and opens nothing before the first
 * call. Where no descriptor is left to load it, the calls fail with that shortage until there is.
 * @throws InvalidOptionError
 */
export function createResilientFetch(options?: ResilientFetchOptions): ResilientFetch {
  const settings = parseFetchOptions(options);
  const transport = settings.transport ?? (isUndiciInstalled() ? 'undici' : 'fetch');
  if (transport === 'undici' && !isUndiciInstalled()) {
    const permitted = `'fetch', or left out, as undici >= ${OLDEST_UNDICI} is not installed`;
    throw new InvalidOptionError('createResilientFetch', 'transport', transport, permitted);
  }
  if (transport === 'fetch') {
    refuseWithoutDialing(settings);
    if (settings.transport === undefined) warnOfLimitations();
  }
  return new FetchClient(settings, transport).toFetch();
}

class FetchClient {
  readonly #settings: FetchSettings;
  readonly #transport: 'undici' | 'fetch';
  readonly #deps: FetchCallDeps;
  readonly #pools = new Set<ConnectionPool>();
  readonly #counts = { calls: 0, succeeded: 0, failed: 0, running: 0, opened: 0, drained: 0 };
  readonly #dialing: DialingParts | undefined;
  readonly #unsubscribes: (() => void)[] = [];
  #isClosed = false;

  constructor(settings: FetchSettings, transport: 'undici' | 'fetch') {
    this.#settings = settings;
    this.#transport = transport;
    this.#deps = {
      settings,
      origins: new Origins(settings, (url) => this.#openSource(url)),
      budget: createRetryBudget({ clock: settings.clock }),
      counts: { retries: 0, freshRetries: 0, redirects: 0 },
      emitter: createEmitter<ResilientFetchEvents>('holdfast:fetch', resilientFetchEventKinds),
      acceptEncoding: transport === 'undici' ? ACCEPTED_ENCODINGS : 'identity',
    };
    this.#dialing = transport === 'undici' ? openDialing(settings) : undefined;
    if (this.#dialing !== undefined) this.#follow(this.#dialing);
  }

  #follow({ dialer, resolver }: DialingParts): void {
    const moved = resolver?.on('changed', (event) => this.#addressesChanged(event));
    const expired = isManaged(dialer)
      ? dialer.on('expired', ({ sockets }) => {
          for (const pool of this.#pools) pool.drainSockets(sockets);
        })
      : undefined;
    for (const stop of [moved, expired]) if (stop !== undefined) this.#unsubscribes.push(stop);
  }

  toFetch(): ResilientFetch {
    const close = (): Promise<void> => this.#close();
    return Object.assign(
      (input: string | URL | Request, init?: ResilientRequestInit) => this.#fetch(input, init),
      {
        transport: this.#transport,
        limitations: this.#transport === 'fetch' ? LIMITATIONS : [],
        on: this.#deps.emitter.on,
        getStats: () => this.#stats(),
        close,
        [Symbol.asyncDispose]: close,
      },
    );
  }

  async #fetch(
    input: string | URL | Request,
    init: ResilientRequestInit | undefined,
  ): Promise<ResilientResponse> {
    if (this.#isClosed) throw new NetworkClosedError('the fetch client');
    const call = new FetchCall(this.#deps, parseRequest(input, init));
    this.#counts.calls += 1;
    this.#counts.running += 1;
    return call.run((failure) => {
      this.#counts.running -= 1;
      if (failure === undefined) this.#counts.succeeded += 1;
      else this.#counts.failed += 1;
    });
  }

  #openSource(url: URL): ConnectionSource {
    if (this.#dialing === undefined) return new PlatformFetch();
    const { dialer } = this.#dialing;
    const pool: ConnectionPool = new ConnectionPool({
      url,
      dialer,
      settings: this.#settings,
      opened: () => void (this.#counts.opened += 1),
      drained: (address, reason) => {
        this.#counts.drained += 1;
        this.#deps.emitter.emit('drained', { origin: url.origin, address, reason });
      },
      closed: () => {
        this.#pools.delete(pool);
        unwatch?.();
      },
    });
    const unwatch = this.#watch(pool.hostname);
    this.#pools.add(pool);
    return pool;
  }

  /** So that kept connections hear of a change though nobody asks for the name. */
  #watch(hostname: string): (() => void) | undefined {
    try {
      return this.#dialing?.resolver?.watch?.(hostname);
    } catch {
      // The resolver watches as many names as it may; it tells of this one when it is asked again.
      return undefined;
    }
  }

  #addressesChanged(event: AddressesChanged): void {
    for (const pool of this.#pools) {
      if (pool.hostname === event.hostname) pool.addressesChanged(event);
    }
  }

  #stats(): ResilientFetchStats {
    const { calls, succeeded, failed, running, opened, drained } = this.#counts;
    return {
      calls,
      succeeded,
      failed,
      running,
      ...this.#deps.counts,
      connectionsOpened: opened,
      connectionsDrained: drained,
      origins: this.#deps.origins.stats(),
    };
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stop of this.#unsubscribes.splice(0)) stop();
    this.#deps.origins.close(new NetworkClosedError('the fetch client'));
    await this.#dialing?.close();
  }
}

function isManaged(dialer: Dialer): dialer is ManagedDialer {
  return typeof propertyOf(dialer, 'on') === 'function';
}

let shared: ResilientFetch | undefined;

/** {@link createResilientFetch} with its defaults; the client is made at the first call, and stays open. */
export function resilientFetch(
  input: string | URL | Request,
  init?: ResilientRequestInit,
): Promise<ResilientResponse> {
  shared ??= createResilientFetch();
  return shared(input, init);
}

/** Loads it, so that no call has to: one that is installed, but cannot be loaded now, is loaded by a later call. */
function isUndiciInstalled(): boolean {
  try {
    return loadUndici() !== undefined;
  } catch {
    return true;
  }
}

let hasWarned = false;

function warnOfLimitations(): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `undici >= ${OLDEST_UNDICI} is not installed, so that the fetch of the platform is used. ` +
      `${LIMITATIONS.join('; ')}. Install undici, or choose transport: 'fetch' to accept this.`,
    { code: 'HOLDFAST_FETCH_LIMITED' },
  );
}
