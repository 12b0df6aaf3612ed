import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type NameAnswer,
  type NameSource,
  type Resolver,
  type ResolverOptions,
  createResolver,
} from '@holdfast/network';

/** What the source says: an answer, an error to reject with, or an answer that comes when its promise resolves. */
export type Script = NameAnswer | Error | Promise<NameAnswer>;

export interface FakeSource extends NameSource {
  /** The answers by `<name> <family>`; another name does not exist. */
  readonly scripts: Map<string, Script>;
  /** The questions, in their order, as `<name> <family>`. */
  readonly asked: string[];
  /** The questions that were aborted. */
  readonly aborted: string[];
}

export function createFakeSource(scripts: Readonly<Record<string, Script>> = {}): FakeSource {
  const source: FakeSource = {
    scripts: new Map(Object.entries(scripts)),
    asked: [],
    aborted: [],
    ask(hostname, family, signal) {
      const key = `${hostname} ${family}`;
      source.asked.push(key);
      const script = source.scripts.get(key) ?? { kind: 'not-found', ttlMs: 1_000 };
      signal.addEventListener('abort', () => source.aborted.push(key));
      return script instanceof Error ? Promise.reject(script) : Promise.resolve(script);
    },
  };
  return source;
}

export interface Fixture {
  readonly clock: FakeClock;
  readonly source: FakeSource;
  readonly resolver: Resolver;
}

/** A resolver over scripted answers, on the fake clock. */
export function openFixture(
  scripts: Readonly<Record<string, Script>> = {},
  options: ResolverOptions = {},
): Fixture {
  const clock = createFakeClock();
  const source = createFakeSource(scripts);
  const random = seededRandom(7);
  const given = { clock, source, random, hostsFile: false, familyOrder: 'ipv4first' } as const;
  return { clock, source, resolver: createResolver({ ...given, ...options }) };
}

export function found(ttlMs: number, ...addresses: readonly string[]): NameAnswer {
  return { kind: 'addresses', addresses, ttlMs };
}

export const never: Promise<NameAnswer> = new Promise(() => {});

export const noAddress: NameAnswer = { kind: 'no-address', ttlMs: 60_000 };
