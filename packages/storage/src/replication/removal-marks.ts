import { createHash } from 'node:crypto';
import type { Clock } from '@holdfast/foundation';
import {
  type BackendResult,
  type ObjectHead,
  type PutCondition,
  type PutReceipt,
  type StorageBackend,
  type StorageFailure,
  fail,
  toResult,
} from '../backend.ts';
import type { WriterLives } from '../journal/lives.ts';
import type { Operation } from '../journal/operation.ts';
import { bytesSource } from '../object/body.ts';
import { SharedCall } from './shared-call.ts';

const FOLDER = '.holdfast/';
/** A backend that permits no mark is asked again after this time. */
const REFUSED_MS = 60_000;
const CONTENT = Buffer.from('This object marks that its writer has removed others. Keep it.\n');
const sha256 = createHash('sha256').update(CONTENT).digest('hex');
/** In the metadata of a mark: the lives of its writer, and up to where others knew the writer's own. */
const LIVES = 'lives';
const SHARED = 'shared';
/** A full backend takes no mark; it has to take removals. */
const noRoom = new Set(['ENOSPC', 'EDQUOT', 'QuotaExceeded', 'InsufficientStorage', '507']);

/** Whether the object is a mark, and none of the user's. */
export function isMarkKey(key: string): boolean {
  return /^\.holdfast\/[0-9a-f-]{36}$/.test(key);
}

/** Whether a copy of this directory, or a later life of it, may have removed an object. */
type Passed = { readonly kind: 'known'; readonly isPassed: boolean } | StorageFailure;

/**
 * The marks of this writer at the backends: one object each, whose stamp names the life that removes objects, and the
 * latest operation it had accepted. An object that is absent shows no later write of its key; the mark shows whether a
 * life that this directory does not know may have removed it. A mark is written before what it marks is removed;
 * removals that wait at once share one. A backend that permits no mark works without.
 */
export class RemovalMarks {
  readonly #lives: WriterLives;
  readonly #clock: Clock;
  readonly #states = new Map<StorageBackend, BackendMark>();
  /** The highest generation accepted. */
  #accepted = 0;
  /** Keys with writes of earlier lives that wait. */
  #adopted = 0;

  constructor(lives: WriterLives, clock: Clock) {
    this.#lives = lives;
    this.#clock = clock;
  }

  /** An operation has become durable: a mark written from now on tells of it. */
  accepted({ generation }: Operation): void {
    this.#accepted = Math.max(this.#accepted, generation);
  }

  /** A key with writes of earlier lives waits (1), or does no longer (-1). */
  adopted(change: 1 | -1): void {
    this.#adopted += change;
  }

  /**
   * Resolves once a mark tells of the removal, which may be sent then; with the failure when it has to wait; with
   * `refused` when the backend does not take the mark, now or at all. Never rejects.
   */
  async mark(
    backend: StorageBackend,
    removal: Operation,
    signal: AbortSignal,
  ): Promise<StorageFailure | 'refused' | undefined> {
    const state = this.#stateOf(backend);
    if (state.writtenUpTo >= removal.generation) return undefined;
    if (this.#clock.now() < state.refusedUntilMs) return undefined;
    this.accepted(removal);
    return state.write(signal);
  }

  /** The backend takes removals and refuses the mark: removals are not marked for a while. */
  refused(backend: StorageBackend): void {
    this.#stateOf(backend).refusedUntilMs = this.#clock.now() + REFUSED_MS;
  }

  /**
   * Whether an object that is absent may have been removed by a life that this directory does not know. What is marked
   * before the call is seen.
   */
  async isPassed(
    backend: StorageBackend,
    { generation }: Operation,
    signal: AbortSignal,
  ): Promise<Passed> {
    const state = this.#stateOf(backend);
    const failure = await state.read(signal);
    return failure ?? { kind: 'known', isPassed: generation <= state.sharedUpTo };
  }

  #stateOf(backend: StorageBackend): BackendMark {
    const known = this.#states.get(backend);
    if (known !== undefined) return known;
    const marked = () => ({ generation: this.#accepted, mayBePassed: this.#adopted > 0 });
    const state = new BackendMark(backend, this.#lives, marked);
    this.#states.set(backend, state);
    return state;
  }
}

class BackendMark {
  /** Removals up to this generation are marked. */
  writtenUpTo = 0;
  /** Writes of this directory up to this generation were also those of a life that it does not know. */
  sharedUpTo = 0;
  refusedUntilMs = -Infinity;
  readonly #backend: StorageBackend;
  readonly #lives: WriterLives;
  readonly #marked: () => { readonly generation: number; readonly mayBePassed: boolean };
  readonly #key: string;
  readonly #reads = new SharedCall((signal: AbortSignal) => this.#read(signal));
  readonly #writes = new SharedCall((signal: AbortSignal) => this.#write(signal));
  #condition: PutCondition = 'none';

  constructor(
    backend: StorageBackend,
    lives: WriterLives,
    marked: () => { generation: number; mayBePassed: boolean },
  ) {
    this.#backend = backend;
    this.#lives = lives;
    this.#marked = marked;
    this.#key = `${FOLDER}${lives.writerId}`;
    if (backend.refuseKey(this.#key) !== undefined) this.refusedUntilMs = Infinity;
  }

  read(signal: AbortSignal): Promise<StorageFailure | undefined> {
    return this.#reads.run(signal);
  }

  write(signal: AbortSignal): Promise<StorageFailure | 'refused' | undefined> {
    return this.#writes.run(signal);
  }

  async #read(signal: AbortSignal): Promise<StorageFailure | undefined> {
    if (this.refusedUntilMs === Infinity) return undefined;
    const result = await toResult('read', () => this.#backend.head(this.#key, { signal }));
    if (result.kind === 'transient' || result.kind === 'unknown') return result;
    this.#condition = 'absent';
    if (result.kind === 'ok') this.#see(result.value);
    return undefined;
  }

  #see({ stamp, metadata, version }: ObjectHead): void {
    this.#condition = version === undefined ? 'none' : { version };
    const shared = this.#lives.isOwn(stamp)
      ? Number.parseInt(metadata[SHARED] ?? '0', 36)
      : this.#lives.sharedUpTo(metadata[LIVES]);
    this.sharedUpTo = Math.max(this.sharedUpTo, shared);
  }

  async #write(signal: AbortSignal): Promise<StorageFailure | 'refused' | undefined> {
    const { generation, mayBePassed } = this.#marked();
    // What an unknown life has marked must not be lost while writes wait that it may have removed.
    const unread = mayBePassed ? await this.read(signal) : undefined;
    if (unread !== undefined) return unread;
    const condition = mayBePassed ? this.#condition : 'none';
    const result = await toResult('write', () => this.#put(generation, condition, signal));
    if (result.kind === 'ok') {
      this.writtenUpTo = generation;
      return undefined;
    }
    if (result.kind === 'conflict') return fail('transient', 'another process marks removals');
    const isRefused = result.kind === 'denied' || result.kind === 'invalid';
    return isRefused || noRoom.has(result.code ?? '') ? 'refused' : result;
  }

  #put(
    generation: number,
    condition: PutCondition,
    signal: AbortSignal,
  ): Promise<BackendResult<PutReceipt>> {
    return this.#backend.put(this.#key, bytesSource(CONTENT), {
      contentType: 'text/plain',
      maxAgeSeconds: 0,
      metadata: {
        [LIVES]: this.#lives.history(generation),
        ...(this.sharedUpTo > 0 && { [SHARED]: this.sharedUpTo.toString(36) }),
      },
      stamp: { operationId: this.#lives.operationId(generation), generation, sha256 },
      condition,
      signal,
    });
  }
}
