import { type Clock, type RetriedOpening, abortable, settlesWithin } from '@holdfast/foundation';
import type { Listing } from '../storage.ts';
import type { KeyWrites } from '../replication/key-replica.ts';
import { decodeCursor, encodeCursor, missingIn, withPending } from './listing.ts';
import type { ObjectReader } from './reader.ts';

interface OpenReads {
  readonly reader: ObjectReader;
  readonly replicator: { readonly pendingKeys: { values(): Iterable<KeyWrites> } };
}

interface StorageReadsDeps {
  readonly clock: Clock;
  readonly opening: Pick<RetriedOpening<OpenReads>, 'get' | 'failure'>;
  /** Reads the backends alone. */
  readonly standby: ObjectReader;
  /** Of the journal. */
  readonly ownerStaleMs: number;
}

/** An owner that has died is succeeded so long after it is known to be dead. */
const TAKEOVER_MS = 1_000;

/**
 * The reads of a storage. They wait for the journal, whose writes are the latest, as long as an owner that has died
 * holds it up. While it cannot be opened, the backends are read without it.
 */
export class StorageReads {
  readonly #deps: StorageReadsDeps;
  #open: OpenReads | undefined;

  constructor(deps: StorageReadsDeps) {
    this.#deps = deps;
  }

  /** @throws the signal's own reason */
  async reader(signal: AbortSignal): Promise<ObjectReader> {
    return (await this.#opened(signal))?.reader ?? this.#deps.standby;
  }

  async list(
    prefix: string,
    options: { readonly limit: number; readonly cursor: string | undefined },
    signal: AbortSignal,
  ): Promise<Listing> {
    const opened = await this.#opened(signal);
    const { limit, cursor } = options;
    const start = cursor === undefined ? undefined : decodeCursor(cursor);
    const range = { prefix, after: start?.after };
    const pendingNow = () => missingIn(range, opened?.replicator.pendingKeys.values() ?? []);
    const before = pendingNow();
    const { value: page, writer } = await (opened?.reader ?? this.#deps.standby).list(prefix, {
      only: start?.from,
      after: start?.after,
      signal,
      limit,
      ...(start !== undefined && { cursor: start.cursor }),
    });
    const from = writer.backend.name;
    const objects = withPending(page, writer, [...before, ...pendingNow()]);
    const last = page.objects.at(-1);
    if (page.cursor === undefined || last === undefined) return { objects, from };
    return { objects, from, cursor: encodeCursor({ from, cursor: page.cursor, after: last.key }) };
  }

  async #opened(signal: AbortSignal): Promise<OpenReads | undefined> {
    if (this.#open !== undefined) return this.#open;
    const { clock, opening, ownerStaleMs } = this.#deps;
    const isRetried = opening.failure !== undefined;
    const attempt = opening.get().then(
      (open) => (this.#open = open),
      () => undefined,
    );
    if (isRetried) return undefined;
    return (await abortable(settlesWithin(clock, ownerStaleMs + TAKEOVER_MS, attempt), signal))
      ? attempt
      : undefined;
  }
}
