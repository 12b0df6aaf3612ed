import { isHoldfastError } from '@holdfast/foundation';
import { type FaultProxy, createFaultProxy } from '../proxy/fault-proxy.ts';
import {
  type ApiFailure,
  badRequest,
  missingField,
  toxicAlreadyExists,
  toxicNotFound,
} from './api-failure.ts';
import { type Toxic, changedToxic, isFields, parseToxic, settingOf } from './toxic.ts';

/** What Toxiproxy's API says of a proxy. */
export interface ProxyDescription {
  readonly name: string;
  readonly listen: string;
  readonly upstream: string;
  readonly enabled: boolean;
}

export interface ManagedProxyOptions {
  readonly seed: number;
  readonly allowRemote: boolean;
}

/** One proxy that is driven by Toxiproxy's API, under the name the API knows it by. */
export interface ManagedProxy {
  describe(): ProxyDescription & { readonly toxics: readonly Toxic[] };
  /** Other addresses, or whether it is there at all. */
  update(to: ProxyDescription): Promise<ApiFailure | undefined>;
  toxic(name: string): Toxic | undefined;
  addToxic(fields: unknown): Toxic | ApiFailure;
  updateToxic(name: string, fields: unknown): Toxic | ApiFailure;
  removeToxic(name: string): Promise<ApiFailure | undefined>;
  /** Enabled, and without a toxic. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** Not the name of a toxic: those it is set beside have one with a prefix. */
const DISABLED = 'disabled';
const named = (toxic: string): string => `toxic ${toxic}`;

export async function openManagedProxy(
  described: ProxyDescription,
  setting: ManagedProxyOptions,
): Promise<ManagedProxy | ApiFailure> {
  const toxics = new Map<string, Toxic>();
  const first = await standing(described, setting);
  if ('error' in first) return first;
  let proxy = first;
  let description = described;

  const enable = async (enabled: boolean): Promise<void> => {
    if (enabled) await proxy.faults.clear(DISABLED);
    else proxy.faults.apply({ kind: 'down', options: { connections: 'close' } }, DISABLED);
    description = { ...description, enabled };
  };
  const apply = (toxic: Toxic): Toxic | ApiFailure => {
    const fault = settingOf(toxic);
    try {
      if (fault === undefined) void proxy.faults.clear(named(toxic.name));
      else proxy.faults.apply(fault, named(toxic.name));
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      return badRequest(error.message);
    }
    toxics.set(toxic.name, toxic);
    return toxic;
  };
  const listening = (): string => `${shownHost(proxy.host)}:${proxy.port}`;

  await enable(described.enabled);
  return {
    describe() {
      return { ...description, listen: listening(), toxics: [...toxics.values()] };
    },
    async update(to) {
      if (to.upstream !== description.upstream || to.listen !== listening()) {
        await proxy.close();
        const next = await standing(to, setting);
        if ('error' in next) return next;
        proxy = next;
        description = to;
        for (const toxic of toxics.values()) apply(toxic);
      }
      await enable(to.enabled);
      return undefined;
    },
    toxic: (name) => toxics.get(name),
    addToxic(fields) {
      if (!isFields(fields)) return badRequest('not an object');
      const toxic = parseToxic(fields);
      if ('error' in toxic) return toxic;
      return toxics.has(toxic.name) ? toxicAlreadyExists : apply(toxic);
    },
    updateToxic(name, fields) {
      const toxic = toxics.get(name);
      if (toxic === undefined) return toxicNotFound;
      if (!isFields(fields)) return badRequest('not an object');
      const changed = changedToxic(toxic, fields);
      return 'error' in changed ? changed : apply(changed);
    },
    async removeToxic(name) {
      if (!toxics.delete(name)) return toxicNotFound;
      await proxy.faults.clear(named(name));
      return undefined;
    },
    async reset() {
      for (const name of toxics.keys()) await proxy.faults.clear(named(name));
      toxics.clear();
      await enable(true);
    },
    close: () => proxy.close(),
  };
}

/** Reads a proxy that is to be made, or with `before` changed. */
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

async function standing(
  { listen, upstream }: ProxyDescription,
  setting: ManagedProxyOptions,
): Promise<FaultProxy | ApiFailure> {
  const target = addressOf(upstream);
  const at = addressOf(listen);
  if (target === undefined) return badRequest(`upstream ${upstream} is no host:port`);
  if (at === undefined) return badRequest(`listen ${listen} is no host:port`);
  try {
    return await createFaultProxy({ ...setting, target, listen: at });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    // Toxiproxy has no word for what it would not refuse; an address in use is its own 500.
    const refused = error.code === 'FAULTS_REMOTE_TARGET' || error.code === 'INVALID_OPTION';
    return { error: error.message, status: refused ? 400 : 500 };
  }
}

function addressOf(text: string): { host: string; port: number } | undefined {
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2] ?? '';
  return parts === null
    ? undefined
    : { host: host === '' ? '127.0.0.1' : host, port: Number(parts[3]) };
}

function shownHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
