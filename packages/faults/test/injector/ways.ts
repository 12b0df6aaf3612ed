/** The names of all methods of a client, its own and its classes'. */
export function methodsOf(client: object): Set<string> {
  const names = new Set<string>();
  for (
    let level: object | null = client;
    // The last is the prototype of every object.
    level !== null && Object.getPrototypeOf(level) !== null;
    level = Object.getPrototypeOf(level)
  ) {
    for (const name of Object.getOwnPropertyNames(level)) {
      const { value }: PropertyDescriptor = Object.getOwnPropertyDescriptor(level, name) ?? {};
      if (name !== 'constructor' && typeof value === 'function') {
        names.add(name);
      }
    }
  }
  return names;
}

/** The methods of every EventEmitter. */
export const emitter: readonly string[] = [
  'setMaxListeners',
  'getMaxListeners',
  'emit',
  'addListener',
  'on',
  'prependListener',
  'once',
  'prependOnceListener',
  'removeListener',
  'off',
  'removeAllListeners',
  'listeners',
  'rawListeners',
  'listenerCount',
  'eventNames',
];

/** What every injected failure of these tests is. */
export const struck = { injection: { kind: 'network_failure' } };
