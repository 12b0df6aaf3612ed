import {
  type Clock,
  type Emitter,
  type Subscribe,
  createEmitter,
  integer,
  objectWith,
  oneOf,
  parseOptions,
  systemClock,
  type EventKinds,
} from '@holdfast/foundation';
import type { CacheLookup } from '../cache.ts';
import { GenerationEndedError, GenerationTooLargeError } from '../errors.ts';
import { entryBytes } from '../memory/entry.ts';
import { type EncodedValue, type HoldMode, flattened, hold, release } from '../memory/holding.ts';
import { checkKey } from '../memory/memory-options.ts';

/** Options of `createGenerations`. */
export interface GenerationsOptions {
  /** The memory that one generation may take, in bytes. Twice that while a new one is made. Default 256 MiB. */
  maxBytes?: number;
  /** How values are held. Default `'frozen'`. */
  hold?: HoldMode;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** A whole data set that no longer changes. A reader that holds it sees all of it, and nothing of a later one. */
export interface Generation<T> {
  /** Rises with each generation begun. */
  readonly number: number;
  readonly publishedAtEpochMs: number;
  readonly entries: number;
  readonly bytes: number;
  lookup(key: string): CacheLookup<T>;
  get(key: string): T | undefined;
  keys(): string[];
}

/** A data set that is being made; nobody reads it before it is published. */
export interface GenerationDraft<T> {
  readonly number: number;
  /** @throws CacheValueError, GenerationTooLargeError, GenerationEndedError, InvalidOptionError */
  set(key: string, value: T): void;
  /**
   * Makes it the current generation, in one step.
   * @throws GenerationEndedError when one that was begun later is current: the slower of two never replaces the newer
   */
  publish(): Generation<T>;
  /** Gives it up; the current generation stays. */
  discard(): void;
}

/** The events of a set of generations, by name. */
export interface GenerationEvents {
  published: { readonly number: number; readonly entries: number; readonly bytes: number };
}

const generationEventKinds: EventKinds<GenerationEvents> = { published: true };

/** The generations of one data set. A generation is whole: it is never evicted in part, and has no TTL. */
export interface Generations<T> {
  readonly on: Subscribe<GenerationEvents>;
  readonly current: Generation<T> | undefined;
  begin(): GenerationDraft<T>;
}

type Entries<T> = Map<string, { readonly held: T | EncodedValue<T>; readonly bytes: number }>;

const MIB = 1_048_576;
const schema = {
  maxBytes: integer({ min: 65_536, max: 1_048_576 * MIB, default: 256 * MIB }),
  hold: oneOf(['frozen', 'encoded', 'reference'], 'frozen'),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Makes a holder of whole data sets that are replaced in one step.
 * @typeParam T the type of the values
 * @throws InvalidOptionError
 */
export function createGenerations<T = unknown>(options?: GenerationsOptions): Generations<T> {
  return new SwappedGenerations<T>(parseOptions('createGenerations', schema, options));
}

class SwappedGenerations<T> implements Generations<T> {
  readonly on: Emitter<GenerationEvents>['on'];
  readonly #options: Readonly<Required<GenerationsOptions>>;
  readonly #events = createEmitter<GenerationEvents>('holdfast:cache', generationEventKinds);
  #current: Generation<T> | undefined;
  #begun = 0;

  constructor(options: Readonly<Required<GenerationsOptions>>) {
    this.#options = options;
    this.on = this.#events.on;
  }

  get current(): Generation<T> | undefined {
    return this.#current;
  }

  begin(): GenerationDraft<T> {
    this.#begun += 1;
    return new OpenDraft<T>(this.#begun, this.#options, (generation) => this.#publish(generation));
  }

  #publish(generation: Generation<T>): void {
    const { number, entries, bytes } = generation;
    if (number < (this.#current?.number ?? 0)) {
      throw new GenerationEndedError(
        number,
        `is older than ${this.#current?.number}, which is current`,
      );
    }
    this.#current = generation;
    this.#events.emit('published', { number, entries, bytes });
  }
}

class OpenDraft<T> implements GenerationDraft<T> {
  readonly number: number;
  readonly #options: Readonly<Required<GenerationsOptions>>;
  readonly #publish: (generation: Generation<T>) => void;
  #entries: Entries<T> | undefined = new Map();
  #bytes = 0;

  constructor(
    number: number,
    options: Readonly<Required<GenerationsOptions>>,
    publish: (generation: Generation<T>) => void,
  ) {
    this.number = number;
    this.#options = options;
    this.#publish = publish;
  }

  set(key: string, value: T): void {
    checkKey('set', key);
    const entries = this.#open();
    const { held, bytes: valueBytes } = hold(value, this.#options.hold);
    const bytes = entryBytes(key, valueBytes);
    const total = this.#bytes + bytes - (entries.get(key)?.bytes ?? 0);
    if (total > this.#options.maxBytes) {
      throw new GenerationTooLargeError(total, this.#options.maxBytes);
    }
    entries.set(flattened(key), { held, bytes });
    this.#bytes = total;
  }

  publish(): Generation<T> {
    const entries = this.#open();
    const { number } = this;
    const publishedAtEpochMs = this.#options.clock.epochMs();
    const generation = new WholeGeneration(number, publishedAtEpochMs, entries, this.#bytes);
    this.#entries = undefined;
    this.#publish(generation);
    return generation;
  }

  discard(): void {
    this.#entries = undefined;
  }

  #open(): Entries<T> {
    if (this.#entries !== undefined) return this.#entries;
    throw new GenerationEndedError(this.number, 'was published or discarded');
  }
}

class WholeGeneration<T> implements Generation<T> {
  readonly number: number;
  readonly publishedAtEpochMs: number;
  readonly bytes: number;
  readonly #entries: Entries<T>;

  constructor(number: number, publishedAtEpochMs: number, entries: Entries<T>, bytes: number) {
    this.number = number;
    this.publishedAtEpochMs = publishedAtEpochMs;
    this.bytes = bytes;
    this.#entries = entries;
  }

  get entries(): number {
    return this.#entries.size;
  }

  lookup(key: string): CacheLookup<T> {
    const entry = this.#entries.get(key);
    return entry === undefined
      ? { kind: 'miss' }
      : { kind: 'hit', value: release(entry.held), expiresInMs: Infinity };
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : release(entry.held);
  }

  keys(): string[] {
    return [...this.#entries.keys()];
  }
}
