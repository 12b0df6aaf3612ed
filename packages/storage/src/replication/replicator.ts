import { OrderedMap, type Timer, onAbort } from '@holdfast/foundation';
import type { Budget } from '../accept/budget.ts';
import type { PrimaryWaits } from '../accept/primary-waits.ts';
import type { StorageFailure } from '../backend.ts';
import type { Operation, UnfinishedWrites } from '../journal/operation.ts';
import type { BackendWriter } from './backend-writer.ts';
import { type DeliverDeps, deliver } from './deliver.ts';
import type { DeliveryResult, ReplicaStep } from './delivery-queue.ts';
import { KeyReplica, type KeyWrites, type ReplicaState, isOpen } from './key-replica.ts';

export interface ReplicatorDeps extends Omit<DeliverDeps, 'signal'> {
  /** In the order of the backends. */
  readonly writers: readonly BackendWriter[];
  readonly budget: Budget;
  readonly primaryWaits: PrimaryWaits;
}

/** How long a call that was aborted may still take, for a backend that has an answer at that moment. */
const ABORTED_CALL_MS = 1_000;

/** Brings every accepted write to every backend, the writes of each key in order. */
export class Replicator {
  readonly writers: readonly BackendWriter[];
  readonly #deps: ReplicatorDeps & DeliverDeps;
  readonly #pendingKeys = new OrderedMap<KeyWrites>();
  /** Those with writes of earlier processes. */
  readonly #adopted = new Set<KeyWrites>();
  readonly #closing = new AbortController();
  #isClosed = false;
  #inFlight = 0;
  readonly #onRest = new Set<() => void>();
  readonly #onIdle = new Set<() => void>();
  /** Replicas that wait or run, and settlements that are not durable yet. */
  #busy = 0;

  constructor(deps: ReplicatorDeps) {
    this.#deps = { ...deps, signal: this.#closing.signal };
    this.writers = deps.writers;
  }

  /** Keys with writes that not every backend has, oldest first. */
  get pendingKeys(): Pick<OrderedMap<KeyWrites>, 'get' | 'size' | 'first' | 'values'> {
    return this.#pendingKeys;
  }

  /** Takes over a key from an earlier process, which may have sent any of its operations. */
  adopt({ newest, superseded, settled, progress }: UnfinishedWrites): void {
    const writes = this.#open(newest);
    const { clock, lateWriteMs, marks } = this.#deps;
    this.#adopted.add(writes);
    marks.adopted(1);
    const nowMs = clock.now();
    const ageMs = Math.max(0, clock.epochMs() - newest.acceptedAtEpochMs);
    const untilMs = nowMs + lateWriteMs;
    writes.inDoubt = [...superseded];
    for (const replica of writes.replicas) {
      const { name } = replica.writer.backend;
      replica.acceptedAtMs = nowMs - ageMs;
      replica.settledGeneration = settled.get(name) ?? 0;
      replica.keptGeneration = replica.settledGeneration;
      if (replica.settledGeneration >= newest.generation) continue;
      replica.isInDoubt = true;
      replica.isDelayed = true;
      replica.isRemovalInDoubt = superseded.some(({ kind }) => kind === 'remove');
      replica.progress = progress.get(name);
      for (const { generation } of [...superseded, newest]) {
        if (generation <= replica.settledGeneration) continue;
        replica.inDoubtWrites.assumeSent(generation, untilMs);
      }
      void this.#replicate(writes, replica);
    }
    this.#dropApplied(writes);
    this.#retire(writes);
  }

  /**
   * Takes an operation that has become durable.
   * @param isDelayed whether others may have written since its bytes were known, as with a repair.
   */
  accept(operation: Operation, isDelayed = false): void {
    this.#deps.marks.accepted(operation);
    const found = this.#pendingKeys.get(operation.key);
    if (found !== undefined && found.newest.generation > operation.generation) return;
    const writes = found ?? this.#open(operation);
    const previous = writes.newest;
    writes.newest = operation;
    const nowMs = this.#deps.clock.now();
    for (const replica of writes.replicas) {
      replica.acceptedAtMs = nowMs;
      if (replica.state === 'running') continue;
      const isVerifying =
        replica.settledGeneration >= previous.generation && previous !== operation;
      if (replica.state === 'waiting' && !isVerifying) replica.writer.counts.superseded += 1;
      replica.refusal = undefined;
      replica.isDelayed = isDelayed;
      replica.verifyAtMs = undefined;
      // A replica that backs off after a failure continues to do so.
      if (replica.state !== 'waiting' || isVerifying || replica.failures === 0) {
        void this.#replicate(writes, replica);
      }
    }
    this.#dropUnlessRunning(writes, previous);
  }

  /** Gives up an operation that a backend refuses; `undefined` when there is none of that id. */
  discard(operationId: string): Operation | undefined {
    for (const writes of this.#pendingKeys.values()) {
      const { newest } = writes;
      if (newest.id !== operationId) continue;
      const refused = writes.replicas.filter(({ state }) => state === 'refused');
      for (const replica of refused) this.#settle(writes, replica, newest);
      return refused.length > 0 ? newest : undefined;
    }
    return undefined;
  }

  /** Gives up an operation at every backend that it was not sent to yet, because the primary refuses it. */
  withdraw(operation: Operation): void {
    const writes = this.#pendingKeys.get(operation.key);
    if (writes?.newest !== operation) return;
    for (const replica of writes.replicas) {
      const isBehind = replica.settledGeneration < operation.generation;
      if (!isBehind || (replica.state !== 'refused' && replica.state !== 'waiting')) continue;
      replica.slot?.cancel();
      this.#settle(writes, replica, operation);
    }
  }

  /** Resolves when nothing is left that a backend would take, or when the signal aborts. */
  idle(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#onIdle.delete(done);
        stopListening();
        resolve();
      };
      this.#onIdle.add(done);
      const stopListening = onAbort(signal, done);
      this.#deps.log.settleNow();
      if (signal.aborted || this.#busy === 0) done();
    });
  }

  /** Sends nothing more; waits for what is in flight until `giveUp` aborts, then aborts it. */
  async close(giveUp: AbortSignal): Promise<void> {
    for (const writer of this.writers) writer.close();
    for (const { replicas } of this.#pendingKeys.values()) {
      for (const { cooldown } of replicas) cooldown?.cancel();
    }
    const abort = (): void => this.#closing.abort(giveUp.reason);
    const stopListening = onAbort(giveUp, abort);
    if (giveUp.aborted) abort();
    if (this.#inFlight > 0) await this.#untilRest(giveUp);
    this.#isClosed = true;
    stopListening();
  }

  /** Waits for the calls that are under way; once given up, no longer for a backend that does not end them. */
  async #untilRest(giveUp: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#onRest.add(resolve);
      const leave = (): void => void (timer = clock.schedule(ABORTED_CALL_MS, resolve));
      if (giveUp.aborted) leave();
      else onAbort(giveUp, leave);
    });
    timer?.cancel();
  }

  #open(newest: Operation): KeyWrites {
    const replicas = this.writers.map((writer) => new KeyReplica(newest.key, writer));
    const writes: KeyWrites = { key: newest.key, newest, inDoubt: [], replicas };
    this.#pendingKeys.set(newest.key, writes);
    return writes;
  }

  /** Has the newest operation of the key delivered to one backend, and takes the next step. */
  async #replicate(writes: KeyWrites, replica: KeyReplica, delayMs = 0): Promise<void> {
    this.#enter(replica, 'waiting');
    replica.slot?.cancel();
    let operation = writes.newest;
    const work = (): Promise<DeliveryResult> => {
      operation = writes.newest;
      replica.running = operation;
      this.#enter(replica, 'running');
      this.#inFlight += 1;
      return deliver(replica, operation, this.#deps);
    };
    replica.slot = replica.writer.run(operation, work, delayMs);
    const delivery = await replica.slot.delivery;
    // What ends after the journal was closed is decided by the next process, as after a crash.
    if (delivery === undefined || this.#isClosed) return;
    this.#inFlight -= 1;
    replica.running = undefined;
    this.#advance(writes, replica, operation, delivery.next);
    this.#dropUnlessRunning(writes, operation);
    if (replica.writer.index === 0) this.#deps.primaryWaits.notify(replica, writes.newest);
    if (this.#inFlight === 0) for (const rest of this.#onRest) rest();
  }

  /** Keeps the operation in the journal until no earlier process's write can be applied any more. */
  #coolDown(writes: KeyWrites, replica: KeyReplica, delayMs: number): void {
    const { newest } = writes;
    this.#enter(replica, 'cooldown');
    const end = (): void => this.#keep(writes, replica, newest);
    replica.cooldown = this.#deps.clock.schedule(delayMs, end, { holdsProcess: false });
  }

  #advance(writes: KeyWrites, replica: KeyReplica, operation: Operation, next: ReplicaStep): void {
    if (next.kind === 'retryLater') void this.#replicate(writes, replica, next.delayMs);
    else if (next.kind === 'settled') this.#settle(writes, replica, operation);
    else if (writes.newest !== operation) void this.#replicate(writes, replica);
    else if (next.kind === 'verified') this.#keep(writes, replica, operation);
    else this.#refuse(writes, replica, next.failure);
  }

  #refuse({ newest, key }: KeyWrites, replica: KeyReplica, failure: StorageFailure): void {
    this.#enter(replica, 'refused');
    replica.refusal = failure;
    this.#deps.emitter.emit('refused', {
      backend: replica.writer.backend.name,
      path: key,
      operationId: newest.id,
      error: failure.message,
      atMs: this.#deps.clock.now(),
    });
  }

  /** The backend has the operation, or a conflict over it is decided. */
  #settle(writes: KeyWrites, replica: KeyReplica, operation: Operation): void {
    const { clock, emitter } = this.#deps;
    const nowMs = clock.now();
    replica.settledGeneration = Math.max(replica.settledGeneration, operation.generation);
    replica.isDelayed = false;
    replica.refusal = undefined;
    replica.progress = undefined;
    replica.writer.settledSinceDrained += 1;
    if (emitter.hasListeners('settled')) {
      emitter.emit('settled', {
        backend: replica.writer.backend.name,
        path: writes.key,
        operationId: operation.id,
        waitedMs: Math.max(0, clock.epochMs() - operation.acceptedAtEpochMs),
        atMs: nowMs,
      });
    }
    const untilMs = replica.inDoubtWrites.untilMs(nowMs);
    if (writes.newest !== operation) void this.#replicate(writes, replica);
    else if (untilMs === undefined) this.#keep(writes, replica, operation);
    else if (replica.inDoubtWrites.needsVerification(operation.generation, nowMs)) {
      replica.verifyAtMs = untilMs;
      void this.#replicate(writes, replica, untilMs - nowMs);
    } else {
      this.#coolDown(writes, replica, untilMs - nowMs);
    }
  }

  /** Notes it in the journal; once every backend has the operation durably noted, the key is retired. */
  #keep(writes: KeyWrites, replica: KeyReplica, operation: Operation): void {
    this.#busy += 1;
    this.#enter(replica, 'idle');
    replica.isRemovalInDoubt = false;
    const { name } = replica.writer.backend;
    const isAwaited = this.#onIdle.size > 0 && this.#inFlight === 0;
    this.#deps.log.settle(operation, name, isAwaited, () => {
      replica.keptGeneration = Math.max(replica.keptGeneration, operation.generation);
      this.#retire(writes);
      this.#decrementBusy();
    });
  }

  #retire(writes: KeyWrites): void {
    const { newest, replicas, key } = writes;
    if (replicas.some(({ keptGeneration }) => keptGeneration < newest.generation)) return;
    if (this.#pendingKeys.get(key) !== writes) return;
    this.#pendingKeys.delete(key);
    if (this.#adopted.delete(writes)) this.#deps.marks.adopted(-1);
    for (const operation of [...writes.inDoubt, newest]) this.#drop(operation);
  }

  #dropUnlessRunning(writes: KeyWrites, operation: Operation): void {
    if (writes.newest === operation) return;
    if (writes.replicas.some(({ running }) => running === operation)) return;
    if (mayStillApply(writes, operation, this.#deps.clock.now())) writes.inDoubt.push(operation);
    else this.#drop(operation);
    this.#dropApplied(writes);
  }

  /** Drops superseded operations that no server can apply any more. */
  #dropApplied(writes: KeyWrites): void {
    if (writes.inDoubt.length === 0) return;
    const nowMs = this.#deps.clock.now();
    const { inDoubt } = writes;
    writes.inDoubt = inDoubt.filter((operation) => mayStillApply(writes, operation, nowMs));
    for (const operation of inDoubt) {
      if (!writes.inDoubt.includes(operation)) this.#drop(operation);
    }
  }

  #drop(operation: Operation): void {
    this.#deps.log.drop(operation);
    this.#deps.budget.release(operation.size);
  }

  #enter(replica: KeyReplica, state: ReplicaState): void {
    replica.cooldown?.cancel();
    if (isOpen(replica.state) !== isOpen(state)) this.#countOpen(replica.writer, isOpen(state));
    const isBusy = state === 'waiting' || state === 'running';
    const wasBusy = replica.state === 'waiting' || replica.state === 'running';
    replica.state = state;
    if (isBusy && !wasBusy) this.#busy += 1;
    else if (wasBusy && !isBusy) this.#decrementBusy();
  }

  #countOpen(writer: BackendWriter, isOpened: boolean): void {
    writer.openKeys += isOpened ? 1 : -1;
    if (writer.openKeys > 0) return;
    const { settledSinceDrained: writes, backend } = writer;
    writer.settledSinceDrained = 0;
    const { emitter, clock } = this.#deps;
    if (!emitter.hasListeners('drained')) return;
    emitter.emit('drained', { backend: backend.name, writes, atMs: clock.now() });
  }

  #decrementBusy(): void {
    this.#busy -= 1;
    if (this.#busy > 0) return;
    for (const done of this.#onIdle) done();
  }
}

/** Whether a server may still apply a superseded operation. */
function mayStillApply({ replicas }: KeyWrites, { generation }: Operation, nowMs: number): boolean {
  return replicas.some(({ inDoubtWrites }) => inDoubtWrites.mayStillApply(generation, nowMs));
}
