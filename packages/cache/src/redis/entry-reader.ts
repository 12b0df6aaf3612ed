import type { Clock } from '@holdfast/foundation';
import type { SharedEntry } from '../loading/shared-tier.ts';
import { type DecodedEntry, decodeEntry } from './protocol/entry-format.ts';
import type { GuardedLink } from './connection/guarded-link.ts';
import { type RedisKeys, nameOf } from './protocol/keys.ts';
import type { PipelineCommand } from './connection/redis-link.ts';

interface EntryReaderDeps {
  readonly link: GuardedLink;
  readonly keys: RedisKeys;
  readonly schema: number;
  readonly clock: Clock;
  onDamaged(key: string): void;
}

interface Read<T> {
  readonly promise: Promise<SharedEntry<T> | undefined>;
  resolve(entry: SharedEntry<T> | undefined): void;
  reject(error: unknown): void;
}

type ValueEntry = Extract<DecodedEntry, { kind: 'value' }>;
interface Found {
  readonly decoded: ValueEntry;
  readonly leftMs: number;
  /** When Redis was asked, by the own clock: its answer may have been under way since. */
  readonly askedMs: number;
}

/** Keys in one pipeline. */
const BATCH = 250;

/** Reads entries: all keys that are asked for in one turn of the event loop in one pipeline. */
export class EntryReader<T> {
  readonly #deps: EntryReaderDeps;
  #waiting = new Map<string, Read<T>>();

  constructor(deps: EntryReaderDeps) {
    this.#deps = deps;
  }

  /** @throws RedisUnavailableError */
  read(key: string): Promise<SharedEntry<T> | undefined> {
    const asked = this.#waiting.get(key);
    if (asked !== undefined) return asked.promise;
    const read: Read<T> = Promise.withResolvers<SharedEntry<T> | undefined>();
    if (this.#waiting.size === 0) setImmediate(() => this.#flush());
    this.#waiting.set(key, read);
    return read.promise;
  }

  /** The commands that {@link found} needs the replies of. */
  commandsFor(key: string): PipelineCommand[] {
    const entry = this.#deps.keys.entry(key);
    return [
      ['getBuffer', entry],
      // Redis' own time, where it may be asked for.
      ['pttl', entry],
    ];
  }

  #flush(): void {
    const reads = [...this.#waiting];
    this.#waiting = new Map();
    for (let at = 0; at < reads.length; at += BATCH)
      void this.#readAll(reads.slice(at, at + BATCH));
  }

  async #readAll(reads: readonly [string, Read<T>][]): Promise<void> {
    const { link, keys, clock } = this.#deps;
    const askedMs = clock.now();
    try {
      const [epoch, ...replies] = await link.runWhilePrompt([
        ['get', keys.epoch],
        ...reads.flatMap(([key]) => this.commandsFor(key)),
      ]);
      const entries = reads.map(([key], at) =>
        this.#found(key, askedMs, epoch, replies[2 * at], replies[2 * at + 1]),
      );
      const valid = await this.#valid(entries);
      for (const [at, [, read]] of reads.entries()) read.resolve(valid[at]);
    } catch (error) {
      for (const [, read] of reads) read.reject(error);
    }
  }

  /** The entry in replies to {@link commandsFor}. @throws RedisUnavailableError */
  async found(
    key: string,
    askedMs: number,
    epoch: unknown,
    reply: unknown,
    ttl: unknown,
  ): Promise<SharedEntry<T> | undefined> {
    const [entry] = await this.#valid([this.#found(key, askedMs, epoch, reply, ttl)]);
    return entry;
  }

  #found(
    key: string,
    askedMs: number,
    epoch: unknown,
    reply: unknown,
    ttl: unknown,
  ): (Found & { key: string }) | undefined {
    const { schema, clock } = this.#deps;
    if (reply === null || reply === undefined) return undefined;
    const decoded: DecodedEntry =
      reply instanceof Buffer ? decodeEntry(nameOf(key), schema, reply) : { kind: 'damaged' };
    if (decoded.kind === 'damaged') this.#deps.onDamaged(key);
    if (decoded.kind !== 'value' || decoded.header.epoch !== epoch) return undefined;
    const { writtenAtEpochMs, keptMs } = decoded.header;
    const ownLeftMs = Number(ttl);
    const leftMs = ownLeftMs >= 0 ? ownLeftMs : writtenAtEpochMs + keptMs - clock.epochMs();
    return leftMs > 0 ? { key, decoded, leftMs, askedMs } : undefined;
  }

  /** Those whose tags still have the versions that they were stored with. */
  async #valid(
    found: readonly ((Found & { key: string }) | undefined)[],
  ): Promise<(SharedEntry<T> | undefined)[]> {
    const { link, keys } = this.#deps;
    const tags = [...new Set(found.flatMap((entry) => entry?.decoded.header.tags ?? []))];
    const replies =
      tags.length === 0 ? [] : await link.runWhilePrompt(tags.map((tag) => ['get', keys.tag(tag)]));
    const versions = new Map(tags.map((tag, at) => [tag, replies[at]]));
    return found.map((entry) => {
      if (entry === undefined) return undefined;
      const { header, versions: stored } = entry.decoded;
      const isValid = header.tags.every((tag, at) => versions.get(tag) === stored[at]);
      return isValid ? this.#entry(entry) : undefined;
    });
  }

  #entry({ key, decoded, leftMs, askedMs }: Found & { key: string }): SharedEntry<T> | undefined {
    const { tags, freshMs, keptMs, loadMs } = decoded.header;
    const ageMs = Math.max(0, keptMs - leftMs) + this.#deps.clock.now() - askedMs;
    if (ageMs >= keptMs) return undefined;
    try {
      // oxlint-disable-next-line typescript/no-explicit-any -- the namespace and the schema say what its values are
      const value: any = decoded.read();
      return { kind: 'entry', value, tags, freshMs, keptMs, loadMs, ageMs };
    } catch {
      this.#deps.onDamaged(key);
      return undefined;
    }
  }
}
