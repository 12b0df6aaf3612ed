import { createServer } from 'node:http';
import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import { inspect, types } from 'node:util';
import { expect, test } from '@jest/globals';
import { type InjectedFaultKind, createChaosFaultInjector } from '@holdfast/faults';
import { closeAfterTest } from '../close-after-test.ts';
import { portOf } from '../servers.ts';

class Money {
  readonly cents: number;
  constructor(cents: number) {
    this.cents = cents;
  }
  get euros(): number {
    return this.cents / 100;
  }
}
class Sealed {
  readonly #secret: string = 'kept';
  shown = 1;
  reveal(): string {
    return this.#secret;
  }
}
class Rows extends Array<number> {
  command = 'SELECT';
}

const values: Record<string, () => any> = {
  Date: () => new Date(0),
  Map: () => new Map([['a', { n: 1 }]]),
  Set: () => new Set(['a', 'b']),
  Buffer: () => Buffer.from('some bytes'),
  Uint8Array: () => Uint8Array.of(1, 2, 3),
  Int16Array: () => Int16Array.of(1, 2, 3),
  Float64Array: () => Float64Array.of(1.5, 2),
  BigInt64Array: () => BigInt64Array.of(1n),
  DataView: () => new DataView(Uint8Array.of(1, 2, 3).buffer),
  ArrayBuffer: () => Uint8Array.of(1, 2, 3).buffer,
  URL: () => new URL('http://a.example/path?q=1#h'),
  'a class': () => new Money(250),
  'a class with private fields': () => new Sealed(),
  'a subclass of Array': () => Rows.of(1, 2),
  'an object without prototype': () => Object.assign(Object.create(null), { a: 1 }),
  'a frozen object': () => Object.freeze({ a: 1 }),
  'a Date within': () => ({ rows: [{ at: new Date(0) }] }),
  'values after null': () => [null, undefined, () => {}, 'text'],
  number: () => 5,
  bigint: () => 5n,
  boolean: () => true,
  string: () => 'text',
};

/** What tells one type from another. */
const classOf = (value: any): unknown[] => [
  typeof value,
  Object.prototype.toString.call(value),
  Object.getPrototypeOf(value)?.constructor.name,
];

async function corrupt(value: unknown, seed = 3): Promise<any> {
  const chaos = createChaosFaultInjector(true, { seed });
  chaos.configureFault('data_corruption');
  return chaos.execute(() => value);
}

test.each(Object.keys(values))(
  'data_corruption changes one value, and the type stays: %s',
  async (name) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const value = values[name]?.();
      const result = await corrupt(value, seed);
      expect(typeof result).toBe(typeof value);
      expect(classOf(result)).toEqual(classOf(value));
      expect(inspect(value)).toBe(inspect(values[name]?.()));
      expect(inspect(types.isProxy(result) ? { ...result } : result)).not.toBe(
        inspect(types.isProxy(result) ? { ...value } : value),
      );
    }
  },
);

test('methods of what was damaged work', async () => {
  expect((await corrupt(new Money(250))).euros).not.toBe(2.5);
  const sealed = await corrupt(new Sealed());
  expect([sealed.reveal(), sealed.shown === 1]).toEqual(['kept', false]);
  expect((await corrupt(new Date(0))).toISOString()).toMatch(/^1970-01-/);
  expect((await corrupt(new Map([['a', 1]]))).get('a')).not.toBe(1);
  expect((await corrupt(Rows.of(1))).command).toBe('SELECT');
  expect((await corrupt(new URL('http://a.example/path'))).host).toBe('a.example');
});

test('what is no data stays itself', async () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  for (const value of [
    null,
    undefined,
    circle,
    new EventEmitter(),
    new Error('no'),
    /a/,
    () => {},
    new Map(),
    new Date(Number.NaN),
    Buffer.alloc(0),
    [],
  ]) {
    expect(await corrupt(value)).toBe(value);
  }
  const chaos = createChaosFaultInjector(true);
  chaos.configureFault('malformed_response');
  const client = new EventEmitter();
  expect(await chaos.execute(() => client)).toBe(client);
  expect(typeof (await chaos.execute((): unknown => ({ big: 1n })))).toBe('string');
});

test('a wrapped method has the object it is called on', async () => {
  const chaos = createChaosFaultInjector(true);
  const counter: any = {
    count: 0,
    add(this: { count: number }, by: number): number {
      this.count += by;
      return this.count;
    },
  };
  const wrapped = { ...counter, add: chaos.wrap(counter.add) };
  expect(await wrapped.add(2)).toBe(2);
  expect(await wrapped.add(2)).toBe(4);
  expect(await chaos.wrap(counter.add).call(counter, 3)).toBe(3);
});

const damaging: readonly InjectedFaultKind[] = [
  'malformed_response',
  'partial_failure',
  'data_corruption',
];

test.each(
  [101, 204, 205, 304].flatMap((status) => damaging.map((kind) => [status, kind] as const)),
)('a response without a body passes: %s under %s', async (status, kind) => {
  const chaos = createChaosFaultInjector(true);
  chaos.configureFault(kind);
  const base = async (): Promise<Response> => {
    const response = new Response(null, { status: status === 101 ? 204 : status });
    return Object.defineProperty(response, 'status', { value: status });
  };
  const response = await chaos.fetch(base)('http://a.example/');
  expect(response.status).toBe(status);
  expect(await response.text()).toBe('');
});

const afterHead: Partial<Record<InjectedFaultKind, object>> = {
  malformed_response: { done: true },
  partial_failure: { code: 'ECONNRESET' },
};

test.each(damaging)('the head of an endless response is there at once, under %s', async (kind) => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: first event\n\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closeAfterTest({
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  });
  const chaos = createChaosFaultInjector(true, { seed: 4 });
  chaos.configureFault(kind);
  const url = `http://127.0.0.1:${portOf(server)}/`;
  const response = await chaos.fetch()(url);
  expect([response.status, response.url]).toEqual([200, url]);
  const reader = response.body?.getReader();
  const first = await reader?.read();
  const text = Buffer.from(first?.value ?? []).toString();
  expect(text.length).toBe(kind === 'data_corruption' ? 19 : 9);
  expect(text === 'data: first event\n\n').toBe(false);
  const rest = kind === 'data_corruption' ? 'endless' : reader?.read().catch(({ cause }) => cause);
  expect({ rest: await rest }).toMatchObject({ rest: afterHead[kind] ?? 'endless' });
  await reader?.cancel().catch(() => {});
});

const streams: Record<string, (chunks: readonly unknown[]) => any> = {
  'a Readable': (chunks) => Readable.from(chunks),
  'a ReadableStream': (chunks) => ReadableStream.from(chunks),
  'an async generator': async function* (chunks) {
    yield* chunks;
  },
};

test.each(Object.keys(streams))('%s gives what came before it broke off', async (name) => {
  const chaos = createChaosFaultInjector(true, { seed: 4 });
  const open = chaos.wrap((chunks: readonly unknown[]) => streams[name]?.(chunks));
  const read = async (chunks: readonly unknown[]): Promise<unknown[]> => {
    const got: unknown[] = [];
    try {
      for await (const chunk of await open(chunks)) got.push(chunk);
    } catch (error) {
      got.push(error);
    }
    return got;
  };
  chaos.configureFault('partial_failure');
  expect(await read(['first', 'second'])).toMatchObject(['fi', { code: 'ECONNRESET' }]);
  expect(await read([{ row: 1 }, { row: 2 }])).toMatchObject([{ row: 1 }, { code: 'ECONNRESET' }]);
  chaos.clear();
  chaos.configureFault('malformed_response');
  expect(await read(['first', 'second'])).toEqual(['fi']);
  chaos.clear();
  chaos.configureFault('data_corruption');
  const [changed, ...rest] = await read([{ row: 1 }, { row: 2 }]);
  expect(changed).not.toEqual({ row: 1 });
  expect(rest).toEqual([{ row: 2 }]);
});
