import type { BackendFailure, StorageBackend } from '../backend.ts';
import { OrderedMap } from '@holdfast/foundation';
import type { Operation, UnfinishedWrites } from '../journal/operation.ts';
import type { BackendHealth } from '../storage.ts';
import { BackendWriter, type BackendWriterOptions } from './backend-writer.ts';
import { type KeyWrites, KeyReplica, type ReplicaState, replicaOf } from './key-replica.ts';
import type { DeliveryOutcome } from './delivery-queue.ts';
import type { AttemptDeps } from './attempt.ts';
import { type NextStep, type DeliverDeps, attemptParts, deliver } from './deliver.ts';

export interface ReplicatorDeps extends BackendWriterOptions, DeliverDeps {
  readonly backends: readonly StorageBackend[];
  /** An operation is no longer kept. */
  readonly dropped: (operation: Operation) => void;
  /** A lane has had its turn. */
  readonly moved: (chain: KeyWrites, lane: KeyReplica, channel: BackendWriter) => void;
  /** A backend came into another state. */
  readonly changed: (channel: BackendWriter) => void;
}

/** Brings every accepted operation to every backend, key by key in order. */
export class Replicator {
  readonly writers: readonly BackendWriter[];
  readonly #parts: ReplicatorDeps;
  /** By the place of the channel. */
  readonly #attempts: readonly AttemptDeps[];
  readonly #chains = new OrderedMap<KeyWrites>();
  readonly #closing = new AbortController();
  #turns = 0;
  readonly #onRest = new Set<() => void>();
  readonly #onIdle = new Set<() => void>();
  /** Lanes that wait or run, and settlements that are not durable yet. */
  #busy = 0;

  constructor(parts: ReplicatorDeps) {
    this.#parts = parts;
    this.writers = parts.backends.map(
      (backend, place) =>
        new BackendWriter(backend, place, parts, {
          turn: (channel, lane) => this.#turn(channel, lane),
          ended: (channel, lane) => this.#ended(channel, lane),
          changed: (channel, from) => this.#changed(channel, from),
        }),
    );
    const { signal } = this.#closing;
    this.#attempts = this.writers.map((channel) => attemptParts(channel, signal, parts));
  }

  /** Keys with writes that not every backend has, oldest first. */
  get pendingKeys(): Pick<OrderedMap<KeyWrites>, 'get' | 'size' | 'first' | 'values'> {
    return this.#chains;
  }

  /** Takes over what an earlier process left: anything of it may have been sent. */
  adopt({ newest, superseded, settled, progress }: UnfinishedWrites): void {
    const chain = this.#open(newest);
    const { clock, lateWriteMs } = this.#parts;
    const nowMs = clock.now();
    const ageMs = Math.max(0, clock.epochMs() - newest.acceptedAtEpochMs);
    const untilMs = nowMs + lateWriteMs;
    chain.inDoubt = [...superseded];
    for (const lane of chain.replicas) {
      lane.acceptedAtMs = nowMs - ageMs;
      lane.settledGeneration = settled.get(lane.backend) ?? 0;
      lane.keptGeneration = lane.settledGeneration;
      if (lane.settledGeneration >= newest.generation) continue;
      lane.isInDoubt = true;
      lane.isDelayed = true;
      lane.isRemovalInDoubt = superseded.some(({ kind }) => kind === 'remove');
      lane.progress = progress.get(lane.backend);
      for (const { generation } of [...superseded, newest]) {
        if (generation <= lane.settledGeneration) continue;
        lane.inDoubtWrites.assumeSent(generation, untilMs);
      }
      this.#wait(chain, lane);
    }
    this.#forgetLanded(chain);
    this.#retire(chain);
  }

  /**
   * Takes an operation that has become durable.
   * @param isDelayed whether others may have written since its bytes were known, as with those of a repair.
   */
  accept(operation: Operation, isDelayed = false): KeyWrites {
    const found = this.#chains.get(operation.key);
    if (found !== undefined && found.newest.generation > operation.generation) return found;
    const chain = found ?? this.#open(operation);
    const previous = chain.newest;
    chain.newest = operation;
    const nowMs = this.#parts.clock.now();
    for (const channel of this.writers) {
      const lane = replicaOf(chain, channel);
      lane.acceptedAtMs = nowMs;
      if (lane.state === 'running') continue;
      const isVerifying = lane.settledGeneration >= previous.generation && previous !== operation;
      if (lane.state === 'waiting' && !isVerifying) channel.counts.superseded += 1;
      lane.refusal = undefined;
      lane.isDelayed = isDelayed;
      lane.verifyAtMs = undefined;
      // One that pauses after a failure goes on pausing.
      if (lane.state !== 'waiting' || isVerifying || lane.failures === 0) this.#wait(chain, lane);
    }
    this.#dropUnlessRunning(chain, previous);
    return chain;
  }

  /** Gives up an operation that a backend refuses. */
  discard(operationId: string): boolean {
    for (const chain of this.#chains.values()) {
      if (chain.newest.id !== operationId) continue;
      const refused = chain.replicas.filter(({ state }) => state === 'refused');
      for (const lane of refused) this.#settle(chain, lane, chain.newest);
      return refused.length > 0;
    }
    return false;
  }

  /** Gives up an operation wherever it has not been sent yet, because the primary refuses it. */
  withdraw(operation: Operation): void {
    const chain = this.#chains.get(operation.key);
    if (chain?.newest !== operation) return;
    for (const lane of chain.replicas) {
      const isOpen = lane.settledGeneration < operation.generation;
      if (!isOpen || (lane.state !== 'refused' && lane.state !== 'waiting')) continue;
      this.#channelOf(lane).remove(lane);
      this.#settle(chain, lane, operation);
    }
  }

  /** Resolves when nothing is left that a backend would take, or when the signal is aborted. */
  idle(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#onIdle.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#onIdle.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted || this.#busy === 0) done();
    });
  }

  /** Sends nothing more; waits for what is under way until the signal is aborted, then ends it. */
  async close(giveUp: AbortSignal): Promise<void> {
    for (const channel of this.writers) channel.close();
    const abort = (): void => this.#closing.abort(giveUp.reason);
    giveUp.addEventListener('abort', abort, { once: true });
    if (giveUp.aborted) abort();
    if (this.#turns > 0) await new Promise<void>((resolve) => this.#onRest.add(resolve));
    giveUp.removeEventListener('abort', abort);
  }

  #open(newest: Operation): KeyWrites {
    const replicas = this.writers.map(({ backend }) => new KeyReplica(newest.key, backend.name));
    const chain: KeyWrites = { key: newest.key, newest, inDoubt: [], replicas };
    this.#chains.set(newest.key, chain);
    return chain;
  }

  #dropUnlessRunning(chain: KeyWrites, operation: Operation): void {
    if (chain.newest === operation) return;
    if (chain.replicas.some(({ running }) => running === operation)) return;
    if (mayStillApply(chain, operation, this.#parts.clock.now())) chain.inDoubt.push(operation);
    else this.#drop(operation);
    this.#forgetLanded(chain);
  }

  /** Drops what was overtaken and cannot be applied any more. */
  #forgetLanded(chain: KeyWrites): void {
    if (chain.inDoubt.length === 0) return;
    const nowMs = this.#parts.clock.now();
    const { inDoubt } = chain;
    chain.inDoubt = inDoubt.filter((operation) => mayStillApply(chain, operation, nowMs));
    for (const operation of inDoubt) {
      if (!chain.inDoubt.includes(operation)) this.#drop(operation);
    }
  }

  #drop(operation: Operation): void {
    this.#parts.log.drop(operation);
    this.#parts.dropped(operation);
  }

  #wait(chain: KeyWrites, lane: KeyReplica, delayMs = 0): void {
    this.#enter(lane, 'waiting');
    const channel = this.#channelOf(lane);
    if (delayMs > 0) channel.addLater(lane, chain.newest, delayMs);
    else channel.add(lane, chain.newest);
  }

  async #turn(channel: BackendWriter, lane: KeyReplica): Promise<DeliveryOutcome> {
    const chain = this.#chains.get(lane.key);
    const ways = this.#attempts[channel.index];
    if (chain === undefined || ways === undefined) return { kind: 'nothing' };
    lane.running = chain.newest;
    if (lane.state === 'resting') {
      lane.nextStep = { kind: 'verified' };
      return { kind: 'nothing' };
    }
    this.#enter(lane, 'running');
    this.#turns += 1;
    const { result, next } = await deliver(lane, chain.newest, channel, ways, this.#parts);
    this.#turns -= 1;
    if (this.#turns === 0) for (const rest of this.#onRest) rest();
    lane.nextStep = next;
    return result;
  }

  /** The track has heard what the turn said of the backend; now the lane goes where it has to. */
  #ended(channel: BackendWriter, lane: KeyReplica): void {
    const chain = this.#chains.get(lane.key);
    const { running: operation, nextStep: next } = lane;
    lane.running = undefined;
    lane.nextStep = undefined;
    if (chain === undefined || operation === undefined || next === undefined) return;
    this.#goOn(chain, lane, operation, next);
    this.#dropUnlessRunning(chain, operation);
    this.#parts.moved(chain, lane, channel);
  }

  #goOn(chain: KeyWrites, lane: KeyReplica, operation: Operation, next: NextStep): void {
    if (next.kind === 'again') this.#wait(chain, lane, next.delayMs);
    else if (next.kind === 'settled') this.#settle(chain, lane, operation);
    else if (chain.newest !== operation) this.#wait(chain, lane);
    else if (next.kind === 'verified') this.#keep(chain, lane, operation);
    else this.#refuse(chain, lane, next.failure);
  }

  #refuse({ newest, key }: KeyWrites, lane: KeyReplica, failure: BackendFailure): void {
    this.#enter(lane, 'refused');
    lane.refusal = failure;
    this.#parts.announcer.emit('refused', {
      backend: lane.backend,
      path: key,
      operationId: newest.id,
      error: failure.message,
      atMs: this.#parts.clock.now(),
    });
  }

  /** The backend has the operation, or what became of it is decided. */
  #settle(chain: KeyWrites, lane: KeyReplica, operation: Operation): void {
    const { clock, announcer } = this.#parts;
    const nowMs = clock.now();
    lane.settledGeneration = Math.max(lane.settledGeneration, operation.generation);
    lane.isDelayed = false;
    lane.refusal = undefined;
    lane.progress = undefined;
    if (announcer.hasListeners('settled')) {
      announcer.emit('settled', {
        backend: lane.backend,
        path: chain.key,
        operationId: operation.id,
        waitedMs: Math.max(0, clock.epochMs() - operation.acceptedAtEpochMs),
        atMs: nowMs,
      });
    }
    const hazardMs = lane.inDoubtWrites.untilMs(nowMs);
    if (chain.newest !== operation) this.#wait(chain, lane);
    else if (hazardMs === undefined) this.#keep(chain, lane, operation);
    else if (lane.inDoubtWrites.needsVerification(operation.generation, nowMs)) {
      lane.verifyAtMs = hazardMs;
      this.#wait(chain, lane, hazardMs - nowMs);
    } else {
      // Known to the next process too until nothing of it can be under way any more.
      this.#enter(lane, 'resting');
      this.#channelOf(lane).addLater(lane, operation, hazardMs - nowMs);
    }
  }

  /** Lets the journal know; the operation goes once every backend has it and that is durable. */
  #keep(chain: KeyWrites, lane: KeyReplica, operation: Operation): void {
    this.#busy += 1;
    this.#enter(lane, 'idle');
    lane.isRemovalInDoubt = false;
    this.#parts.log.settle(operation, lane.backend, this.#turns === 0, () => {
      lane.keptGeneration = Math.max(lane.keptGeneration, operation.generation);
      this.#retire(chain);
      this.#lessBusy();
    });
  }

  #retire(chain: KeyWrites): void {
    const { newest, replicas, key } = chain;
    if (replicas.some(({ keptGeneration }) => keptGeneration < newest.generation)) return;
    if (this.#chains.get(key) !== chain) return;
    this.#chains.delete(key);
    for (const operation of [...chain.inDoubt, newest]) this.#drop(operation);
  }

  #enter(lane: KeyReplica, state: ReplicaState): void {
    const isBusy = state === 'waiting' || state === 'running';
    const wasBusy = lane.state === 'waiting' || lane.state === 'running';
    lane.state = state;
    if (isBusy && !wasBusy) this.#busy += 1;
    else if (wasBusy && !isBusy) this.#lessBusy();
  }

  #lessBusy(): void {
    this.#busy -= 1;
    if (this.#busy > 0) return;
    for (const done of this.#onIdle) done();
  }

  #changed(channel: BackendWriter, from: BackendHealth): void {
    const { announcer, clock, changed } = this.#parts;
    announcer.emit('backend', {
      backend: channel.backend.name,
      from,
      to: channel.state,
      ...(channel.lastError !== undefined &&
        channel.state !== 'up' && { error: channel.lastError }),
      atMs: clock.now(),
    });
    changed(channel);
  }

  #channelOf(lane: KeyReplica): BackendWriter {
    const channel = this.writers.find(({ backend }) => backend.name === lane.backend);
    if (channel === undefined) throw new RangeError(`no backend ${lane.backend}`);
    return channel;
  }
}

/** Whether a write that was overtaken may still be applied by one of the servers. */
function mayStillApply({ replicas }: KeyWrites, { generation }: Operation, nowMs: number): boolean {
  return replicas.some(({ inDoubtWrites }) => inDoubtWrites.mayStillApply(generation, nowMs));
}
