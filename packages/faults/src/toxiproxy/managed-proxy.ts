import { isHoldfastError } from '@holdfast/foundation';
import { hostInUrl } from '../proxy/addresses.ts';
import { type FaultProxy, createFaultProxy } from '../proxy/fault-proxy.ts';
import {
  type ApiFailure,
  badRequest,
  missingField,
  toxicAlreadyExists,
  toxicNotFound,
} from './api-failure.ts';
import { type Toxic, changedToxic, isFields, parseToxic, faultOf } from './toxic.ts';

/** A proxy in Toxiproxy's API. */
interface ProxyDescription {
  readonly name: string;
  readonly listen: string;
  readonly upstream: string;
  readonly enabled: boolean;
}

interface ManagedProxyOptions {
  readonly seed: number;
  readonly allowRemote: boolean;
}

/** The name of the fault of a disabled proxy; toxics have a prefix, so it is not the name of one. */
const DISABLED = 'disabled';
const faultName = (toxic: string): string => `toxic ${toxic}`;

export async function openManagedProxy(
  description: ProxyDescription,
  options: ManagedProxyOptions,
): Promise<ManagedProxy | ApiFailure> {
  const proxy = await openProxy(description, options);
  if ('error' in proxy) return proxy;
  const managed = new ManagedProxy(proxy, description, options);
  await managed.enable(description.enabled);
  return managed;
}

/** One proxy with its toxics, as Toxiproxy's API sees it. */
export class ManagedProxy {
  #proxy: FaultProxy;
  #description: ProxyDescription;
  readonly #options: ManagedProxyOptions;
  readonly #toxics = new Map<string, Toxic>();

  constructor(proxy: FaultProxy, description: ProxyDescription, options: ManagedProxyOptions) {
    this.#proxy = proxy;
    this.#description = description;
    this.#options = options;
  }

  describe(): ProxyDescription & { readonly toxics: readonly Toxic[] } {
    const listen = `${hostInUrl(this.#proxy.host)}:${this.#proxy.port}`;
    return { ...this.#description, listen, toxics: [...this.#toxics.values()] };
  }

  /** Changes the addresses, or enables or disables the proxy. */
  async update(to: ProxyDescription): Promise<ApiFailure | undefined> {
    const { listen, upstream } = this.describe();
    if (to.upstream !== upstream || to.listen !== listen) {
      await this.#proxy.close();
      const next = await openProxy(to, this.#options);
      if ('error' in next) return next;
      this.#proxy = next;
      this.#description = to;
      for (const toxic of this.#toxics.values()) this.#apply(toxic);
    }
    await this.enable(to.enabled);
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

  /** Removes every toxic and enables the proxy. */
  async reset(): Promise<void> {
    for (const name of this.#toxics.keys()) await this.#proxy.faults.clear(faultName(name));
    this.#toxics.clear();
    await this.enable(true);
  }

  async enable(enabled: boolean): Promise<void> {
    const { faults } = this.#proxy;
    if (enabled) await faults.clear(DISABLED);
    else faults.apply({ kind: 'down', options: { connections: 'close' } }, DISABLED);
    this.#description = { ...this.#description, enabled };
  }

  close(): Promise<void> {
    return this.#proxy.close();
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

/** Parses the fields of a new proxy, or changes to `before`. */
export function parseDescription(
  fields: unknown,
  before?: ProxyDescription,
): ProxyDescription | ApiFailure {
  if (!isFields(fields)) return badRequest('not an object');
  const name = before?.name ?? fields['name'];
  const { upstream = before?.upstream, enabled = before?.enabled ?? true } = fields;
  const { listen = before?.listen ?? '127.0.0.1:0' } = fields;
  if (name === undefined || name === '') return missingField('name');
  if (upstream === undefined || upstream === '') return missingField('upstream');
  if (typeof name !== 'string') return badRequest('name is no string');
  if (typeof upstream !== 'string') return badRequest('upstream is no string');
  if (typeof listen !== 'string') return badRequest('listen is no string');
  if (typeof enabled !== 'boolean') return badRequest('enabled is neither true nor false');
  return { name, listen, upstream, enabled };
}

async function openProxy(
  { listen, upstream }: ProxyDescription,
  options: ManagedProxyOptions,
): Promise<FaultProxy | ApiFailure> {
  const target = addressOf(upstream);
  const address = addressOf(listen);
  if (target === undefined) return badRequest(`upstream ${upstream} is no host:port`);
  if (address === undefined) return badRequest(`listen ${listen} is no host:port`);
  const { seed, allowRemote } = options;
  try {
    return await createFaultProxy({ seed, allowRemote, target, listen: address });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    // Toxiproxy has no failure for what it does not refuse itself; an address in use is a 500 in it too.
    const isRefused = error.code === 'FAULTS_REMOTE_TARGET' || error.code === 'INVALID_OPTION';
    return { error: error.message, status: isRefused ? 400 : 500 };
  }
}

function addressOf(text: string): { host: string; port: number } | undefined {
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2] ?? '';
  return parts === null
    ? undefined
    : { host: host === '' ? '127.0.0.1' : host, port: Number(parts[3]) };
}
