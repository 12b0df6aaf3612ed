import { types } from 'node:util';

/** Makes a call with the faults drawn for it. The answers of one connection keep the order of its calls. */
export type Execute = (
  call: () => Promise<unknown>,
  connection?: object,
  signal?: AbortSignal,
  /** What is called, for a key. */
  operation?: readonly unknown[],
) => Promise<unknown>;

/** A method of a client that is called with its arguments. */
type Call = (args: readonly unknown[]) => unknown;

/** What a client is wrapped by. */
interface Wrapper {
  readonly proxy: object;
  /** Wraps a value that the client gives away, where it is a client. */
  readonly rewrap: (value: unknown) => unknown;
}

/** How the members of a client are called. */
interface Ways {
  /** Returns the call of a member with its faults; `undefined` leaves the member to the client. */
  inject(key: PropertyKey, member: Function, target: object, wrapper: Wrapper): Call | undefined;
  /** Whether a value that the client gives away is a client to wrap as well: of a pool, a duplicate, a node. */
  readonly isClient?: (value: unknown) => value is object;
}

const adding = new Set<PropertyKey>([
  'on',
  'once',
  'addListener',
  'prependListener',
  'prependOnceListener',
]);
const removing = new Set<PropertyKey>(['off', 'removeListener']);

/**
 * Wraps a client so that none of its ways leads around the faults: what a method returns, resolves to or passes to a
 * listener is wrapped too where it is a client, and a chained call stays on the wrapper.
 */
export function wrapMembers<Client extends object>(client: Client, ways: Ways): Client;
export function wrapMembers(client: object, ways: Ways): object {
  return wrapOnce(client, ways, new WeakMap());
}

/** @param known the wrapper of each client, so that one has one. */
function wrapOnce(client: object, ways: Ways, known: WeakMap<object, object>): object {
  const existing = known.get(client);
  if (existing !== undefined) return existing;
  const isClient = ways.isClient ?? isNone;
  const members = new Map<PropertyKey, { readonly member: Function; readonly wrapper: Function }>();
  const listeners = new WeakMap<Function, Function>();

  const rewrap = (value: unknown): unknown => {
    if (value === client) return proxy;
    if (isClient(value)) return wrapOnce(value, ways, known);
    if (types.isPromise(value)) return value.then(rewrap);
    return Array.isArray(value) && value.some((one) => isClient(one)) ? value.map(rewrap) : value;
  };
  const wrapListener = (listener: unknown): unknown => {
    if (typeof listener !== 'function') return listener;
    const wrapper =
      listeners.get(listener) ??
      ((...args: unknown[]) => Reflect.apply(listener, proxy, args.map(rewrap)));
    listeners.set(listener, wrapper);
    return wrapper;
  };
  const callOf = (key: PropertyKey, member: Function): Call => {
    const injected = ways.inject(key, member, client, { proxy, rewrap });
    if (injected !== undefined) return injected;
    if (adding.has(key)) {
      return ([event, listener]) => Reflect.apply(member, client, [event, wrapListener(listener)]);
    }
    if (!removing.has(key)) return (args) => Reflect.apply(member, client, args);
    return ([event, listener]) => {
      const added = typeof listener === 'function' ? listeners.get(listener) : undefined;
      return Reflect.apply(member, client, [event, added ?? listener]);
    };
  };
  const proxy: object = new Proxy(client, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function' || isConstructor(key)) return rewrap(member);
      const cached = members.get(key);
      if (cached?.member === member) return cached.wrapper;
      const call = callOf(key, member);
      const wrapper = new Proxy(member, { apply: (_, __, args: unknown[]) => rewrap(call(args)) });
      members.set(key, { member, wrapper });
      return wrapper;
    },
  });
  known.set(client, proxy);
  // What is wrapped twice is injected once.
  known.set(proxy, proxy);
  return proxy;
}

/** A class that a client holds, such as `Client` of a pool, is no way of the client. */
function isConstructor(key: PropertyKey): boolean {
  return typeof key === 'string' && (key === 'constructor' || /^_?[A-Z]/.test(key));
}

function isNone(_value: unknown): _value is never {
  return false;
}
