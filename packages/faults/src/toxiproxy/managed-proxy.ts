import { isHoldfastError } from '@holdfast/foundation';
import { type ProxyAddress, addressesOf, hostInUrl, refuseRemote } from '../proxy/addresses.ts';
import type { Direction } from '../proxy/fault.ts';
import { type RetargetableProxy, openFaultProxy } from '../proxy/fault-proxy.ts';
import {
  type ApiFailure,
  badRequest,
  missingField,
  toxicAlreadyExists,
  toxicNotFound,
} from './api-failure.ts';
import { type Toxic, changedToxic, isFields, parseToxic, faultOf } from './toxic.ts';

/** A proxy in Toxiproxy's API. */
export interface ProxyDescription {
  readonly name: string;
  readonly listen: string;
  readonly upstream: string;
  readonly enabled: boolean;
}

interface ManagedProxyOptions {
  readonly seed: number;
  readonly allowRemote: boolean;
}

const faultName = (toxic: string): string => `toxic ${toxic}`;

/** @returns why it cannot be; then nothing was opened. */
export async function openManagedProxy(
  description: ProxyDescription,
  options: ManagedProxyOptions,
): Promise<ManagedProxy | ApiFailure> {
  const proxy = await openProxy(description, options);
  return 'error' in proxy ? proxy : new ManagedProxy(proxy, description, options);
}

/** One proxy with its toxics, as Toxiproxy's API sees it. A change that fails leaves everything as it was. */
export class ManagedProxy {
  #proxy: RetargetableProxy;
  #description: ProxyDescription;
  readonly #options: ManagedProxyOptions;
  readonly #toxics = new Map<string, Toxic>();

  constructor(
    proxy: RetargetableProxy,
    description: ProxyDescription,
    options: ManagedProxyOptions,
  ) {
    this.#proxy = proxy;
    this.#description = description;
    this.#options = options;
  }

  describe(): ProxyDescription & { readonly toxics: readonly Toxic[] } {
    const { bound } = this.#proxy;
    const listen = bound === undefined ? this.#description.listen : hostAndPort(bound);
    return { ...this.#description, listen, toxics: [...this.#toxics.values()] };
  }

  /** Bytes read and bytes sent, to the server and to the client. */
  traffic(): Readonly<Record<'received' | 'sent', Readonly<Record<Direction, number>>>> {
    const { bytesToServer: toServer, bytesToClient: toClient } = this.#proxy.getStats();
    return { received: this.#proxy.bytesRead, sent: { toServer, toClient } };
  }

  /** Returns whether another description has the same addresses. */
  async isAt({ listen, upstream }: ProxyDescription): Promise<boolean> {
    return upstream === this.#description.upstream && (await this.#listensOn(listen)) === true;
  }

  /** Changes the addresses, or enables or disables the proxy. */
  async update(to: ProxyDescription): Promise<ApiFailure | undefined> {
    const target = targetOf(to.upstream, this.#options);
    if ('error' in target) return target;
    const isHere = await this.#listensOn(to.listen);
    if (typeof isHere === 'object') return isHere;
    if (!isHere) return this.#move(to);
    const failure = await this.#enable(to.enabled);
    if (failure !== undefined) return failure;
    if (to.upstream !== this.#description.upstream) this.#proxy.retarget(target);
    this.#description = to;
    return undefined;
  }

  toxic(name: string): Toxic | undefined {
    return this.#toxics.get(name);
  }

  addToxic(fields: unknown): Toxic | ApiFailure {
    if (!isFields(fields)) return badRequest('not an object');
    const toxic = parseToxic(fields);
    if ('error' in toxic) return toxic;
    return this.#toxics.has(toxic.name) ? toxicAlreadyExists : this.#apply(toxic);
  }

  updateToxic(name: string, fields: unknown): Toxic | ApiFailure {
    const toxic = this.#toxics.get(name);
    if (toxic === undefined) return toxicNotFound;
    if (!isFields(fields)) return badRequest('not an object');
    const changed = changedToxic(toxic, fields);
    return 'error' in changed ? changed : this.#apply(changed);
  }

  async removeToxic(name: string): Promise<ApiFailure | undefined> {
    if (!this.#toxics.delete(name)) return toxicNotFound;
    await this.#proxy.faults.clear(faultName(name));
    return undefined;
  }

  /** Enables the proxy and removes every toxic. */
  async reset(): Promise<ApiFailure | undefined> {
    const failure = await this.#enable(true);
    if (failure === undefined) await this.clearToxics();
    return failure;
  }

  async clearToxics(): Promise<void> {
    for (const name of this.#toxics.keys()) await this.#proxy.faults.clear(faultName(name));
    this.#toxics.clear();
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }

  async #enable(enabled: boolean): Promise<ApiFailure | undefined> {
    if (enabled === this.#description.enabled) return undefined;
    if (enabled) {
      try {
        await this.#proxy.accept();
      } catch (error) {
        this.#proxy.refuse();
        return failureOf(error);
      }
    } else {
      this.#proxy.refuse();
      this.#proxy.dropConnections();
    }
    this.#description = { ...this.#description, enabled };
    return undefined;
  }

  /** Opens the other address before it gives up the one it has. */
  async #move(to: ProxyDescription): Promise<ApiFailure | undefined> {
    const next = await openProxy(to, this.#options);
    if ('error' in next) return next;
    const before = this.#proxy;
    this.#proxy = next;
    this.#description = to;
    for (const toxic of this.#toxics.values()) this.#apply(toxic);
    await before.close();
    return undefined;
  }

  /** Returns whether an address is the one it has, or why it can be none. */
  async #listensOn(listen: string): Promise<boolean | ApiFailure> {
    const { bound } = this.#proxy;
    if (listen === (bound === undefined ? this.#description.listen : hostAndPort(bound)))
      return true;
    const address = addressOf(listen);
    if (address === undefined) return notAnAddress(listen);
    try {
      const addresses = await addressesOf(address.host);
      return bound?.port === address.port && addresses.includes(bound.host);
    } catch {
      return { error: `lookup ${address.host}: no such host`, status: 500 };
    }
  }

  #apply(toxic: Toxic): Toxic | ApiFailure {
    const fault = faultOf(toxic);
    const { faults } = this.#proxy;
    try {
      if (fault === undefined) void faults.clear(faultName(toxic.name));
      else faults.apply(fault, faultName(toxic.name));
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      return badRequest(error.message);
    }
    this.#toxics.set(toxic.name, toxic);
    return toxic;
  }
}

/** Parses the fields of a new proxy, or changes to `before`. @param place is added to the name of a missing field. */
export function parseDescription(
  fields: unknown,
  before?: ProxyDescription,
  place = '',
): ProxyDescription | ApiFailure {
  if (!isFields(fields)) return badRequest('not an object');
  const name = before?.name ?? fields['name'];
  const { upstream = before?.upstream, enabled = before?.enabled ?? true } = fields;
  // Go's clients send an empty text for what is not set.
  const listen = fields['listen'] === '' ? undefined : fields['listen'];
  if (name === undefined || name === '') return missingField(`name${place}`);
  if (upstream === undefined || upstream === '') return missingField(`upstream${place}`);
  if (typeof name !== 'string') return badRequest('name is no string');
  if (typeof upstream !== 'string') return badRequest('upstream is no string');
  if (listen !== undefined && typeof listen !== 'string') return badRequest('listen is no string');
  if (typeof enabled !== 'boolean') return badRequest('enabled is neither true nor false');
  return { name, listen: listen ?? before?.listen ?? '127.0.0.1:0', upstream, enabled };
}

async function openProxy(
  { listen, upstream, enabled }: ProxyDescription,
  options: ManagedProxyOptions,
): Promise<RetargetableProxy | ApiFailure> {
  const target = targetOf(upstream, options);
  if ('error' in target) return target;
  const address = addressOf(listen);
  if (address === undefined) return notAnAddress(listen);
  const { seed, allowRemote } = options;
  try {
    const given = { seed, allowRemote, target, listen: address };
    return await openFaultProxy(given, { opens: enabled });
  } catch (error) {
    return failureOf(error);
  }
}

/** Returns the address of an upstream, which is not one that is refused. */
function targetOf(
  upstream: string,
  { allowRemote }: ManagedProxyOptions,
): ProxyAddress | ApiFailure {
  const target = addressOf(upstream);
  if (target === undefined || target.port === 0)
    return badRequest(`upstream ${upstream} is no host:port`);
  try {
    refuseRemote(target, allowRemote);
  } catch (error) {
    return failureOf(error);
  }
  return target;
}

function notAnAddress(listen: string): ApiFailure {
  return { error: `listen tcp: address ${listen}: not a host and a port`, status: 500 };
}

function failureOf(error: unknown): ApiFailure {
  if (!isHoldfastError(error)) throw error;
  const isRefused = error.code === 'FAULTS_REMOTE_TARGET' || error.code === 'INVALID_OPTION';
  if (isRefused) return { error: error.message, status: 400 };
  // Toxiproxy has no failure for what the system refuses: its words are those of Go.
  const { cause } = error;
  if (!isAddressInUse(cause)) return { error: error.message, status: 500 };
  const address = hostAndPort({ host: cause.address, port: cause.port });
  return { error: `listen tcp ${address}: bind: address already in use`, status: 500 };
}

function isAddressInUse(cause: unknown): cause is { address: string; port: number } {
  return (
    typeof cause === 'object' &&
    cause !== null &&
    'code' in cause &&
    cause.code === 'EADDRINUSE' &&
    'address' in cause &&
    typeof cause.address === 'string' &&
    'port' in cause &&
    typeof cause.port === 'number'
  );
}

function addressOf(text: string): ProxyAddress | undefined {
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2] ?? '';
  const port = Number(parts?.[3] ?? Number.NaN);
  return port <= 65_535 ? { host: host === '' ? '127.0.0.1' : host, port } : undefined;
}

function hostAndPort({ host, port }: ProxyAddress): string {
  return `${hostInUrl(host)}:${port}`;
}
