import type { BackendFailure, StorageBackend } from '../backend.ts';
import { OrderedMap } from '@holdfast/foundation';
import type { Operation, Remains } from '../operation.ts';
import type { BackendHealth } from '../storage.ts';
import { Channel, type ChannelTuning } from './channel.ts';
import { type Chain, Lane, type LaneState, laneOf } from './lane.ts';
import type { TurnResult } from './track.ts';
import type { AttemptParts } from './attempt.ts';
import { type Next, type TurnParts, attemptParts, playTurn } from './turn.ts';

export interface DispatcherParts extends ChannelTuning, TurnParts {
  readonly backends: readonly StorageBackend[];
  /** An operation is no longer kept. */
  readonly dropped: (operation: Operation) => void;
  /** A lane has had its turn. */
  readonly moved: (chain: Chain, lane: Lane, channel: Channel) => void;
  /** A backend came into another state. */
  readonly changed: (channel: Channel) => void;
}

/** Brings every accepted operation to every backend, key by key in order. */
export class Dispatcher {
  readonly channels: readonly Channel[];
  readonly #parts: DispatcherParts;
  /** By the place of the channel. */
  readonly #attempts: readonly AttemptParts[];
  readonly #chains = new OrderedMap<Chain>();
  readonly #closing = new AbortController();
  #turns = 0;
  readonly #onRest = new Set<() => void>();
  readonly #onIdle = new Set<() => void>();
  /** Lanes that wait or run, and settlements that are not durable yet. */
  #busy = 0;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.channels = parts.backends.map(
      (backend, place) =>
        new Channel(backend, place, parts, {
          turn: (channel, lane) => this.#turn(channel, lane),
          ended: (channel, lane) => this.#ended(channel, lane),
          changed: (channel, from) => this.#changed(channel, from),
        }),
    );
    const { signal } = this.#closing;
    this.#attempts = this.channels.map((channel) => attemptParts(channel, signal, parts));
  }

  /** Keys with writes that not every backend has, oldest first. */
  get chains(): Pick<OrderedMap<Chain>, 'get' | 'size' | 'first' | 'values'> {
    return this.#chains;
  }

  /** Takes over what an earlier process left: anything of it may have been sent. */
  adopt({ newest, overtaken, settled, progress }: Remains): void {
    const chain = this.#open(newest);
    const { clock, lateWriteMs } = this.#parts;
    const nowMs = clock.now();
    const ageMs = Math.max(0, clock.epochMs() - newest.acceptedAtEpochMs);
    const untilMs = nowMs + lateWriteMs;
    chain.doubtful = [...overtaken];
    for (const lane of chain.lanes) {
      lane.acceptedAtMs = nowMs - ageMs;
      lane.settledGeneration = settled.get(lane.backend) ?? 0;
      lane.keptGeneration = lane.settledGeneration;
      if (lane.settledGeneration >= newest.generation) continue;
      lane.isInDoubt = true;
      lane.isDelayed = true;
      lane.isRemovalInDoubt = overtaken.some(({ kind }) => kind === 'remove');
      lane.progress = progress.get(lane.backend);
      for (const { generation } of [...overtaken, newest]) {
        if (generation <= lane.settledGeneration) continue;
        lane.late.presume(generation, untilMs);
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
  accept(operation: Operation, isDelayed = false): Chain {
    const found = this.#chains.get(operation.key);
    if (found !== undefined && found.newest.generation > operation.generation) return found;
    const chain = found ?? this.#open(operation);
    const previous = chain.newest;
    chain.newest = operation;
    const nowMs = this.#parts.clock.now();
    for (const channel of this.channels) {
      const lane = laneOf(chain, channel);
      lane.acceptedAtMs = nowMs;
      if (lane.state === 'running') continue;
      const isVerifying = lane.settledGeneration >= previous.generation && previous !== operation;
      if (lane.state === 'waiting' && !isVerifying) channel.counts.folded += 1;
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
      const refused = chain.lanes.filter(({ state }) => state === 'refused');
      for (const lane of refused) this.#settle(chain, lane, chain.newest);
      return refused.length > 0;
    }
    return false;
  }

  /** Gives up an operation wherever it has not been sent yet, because the primary refuses it. */
  withdraw(operation: Operation): void {
    const chain = this.#chains.get(operation.key);
    if (chain?.newest !== operation) return;
    for (const lane of chain.lanes) {
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
    for (const channel of this.channels) channel.close();
    const abort = (): void => this.#closing.abort(giveUp.reason);
    giveUp.addEventListener('abort', abort, { once: true });
    if (giveUp.aborted) abort();
    if (this.#turns > 0) await new Promise<void>((resolve) => this.#onRest.add(resolve));
    giveUp.removeEventListener('abort', abort);
  }

  #open(newest: Operation): Chain {
    const lanes = this.channels.map(({ backend }) => new Lane(newest.key, backend.name));
    const chain: Chain = { key: newest.key, newest, doubtful: [], lanes };
    this.#chains.set(newest.key, chain);
    return chain;
  }

  #dropUnlessRunning(chain: Chain, operation: Operation): void {
    if (chain.newest === operation) return;
    if (chain.lanes.some(({ running }) => running === operation)) return;
    if (mayLand(chain, operation, this.#parts.clock.now())) chain.doubtful.push(operation);
    else this.#drop(operation);
    this.#forgetLanded(chain);
  }

  /** Drops what was overtaken and cannot be applied any more. */
  #forgetLanded(chain: Chain): void {
    if (chain.doubtful.length === 0) return;
    const nowMs = this.#parts.clock.now();
    const { doubtful } = chain;
    chain.doubtful = doubtful.filter((operation) => mayLand(chain, operation, nowMs));
    for (const operation of doubtful) {
      if (!chain.doubtful.includes(operation)) this.#drop(operation);
    }
  }

  #drop(operation: Operation): void {
    this.#parts.log.drop(operation);
    this.#parts.dropped(operation);
  }

  #wait(chain: Chain, lane: Lane, delayMs = 0): void {
    this.#enter(lane, 'waiting');
    const channel = this.#channelOf(lane);
    if (delayMs > 0) channel.addLater(lane, chain.newest, delayMs);
    else channel.add(lane, chain.newest);
  }

  async #turn(channel: Channel, lane: Lane): Promise<TurnResult> {
    const chain = this.#chains.get(lane.key);
    const ways = this.#attempts[channel.place];
    if (chain === undefined || ways === undefined) return { kind: 'nothing' };
    lane.running = chain.newest;
    if (lane.state === 'resting') {
      lane.nextStep = { kind: 'verified' };
      return { kind: 'nothing' };
    }
    this.#enter(lane, 'running');
    this.#turns += 1;
    const { result, next } = await playTurn(lane, chain.newest, channel, ways, this.#parts);
    this.#turns -= 1;
    if (this.#turns === 0) for (const rest of this.#onRest) rest();
    lane.nextStep = next;
    return result;
  }

  /** The track has heard what the turn said of the backend; now the lane goes where it has to. */
  #ended(channel: Channel, lane: Lane): void {
    const chain = this.#chains.get(lane.key);
    const { running: operation, nextStep: next } = lane;
    lane.running = undefined;
    lane.nextStep = undefined;
    if (chain === undefined || operation === undefined || next === undefined) return;
    this.#goOn(chain, lane, operation, next);
    this.#dropUnlessRunning(chain, operation);
    this.#parts.moved(chain, lane, channel);
  }

  #goOn(chain: Chain, lane: Lane, operation: Operation, next: Next): void {
    if (next.kind === 'again') this.#wait(chain, lane, next.delayMs);
    else if (next.kind === 'settled') this.#settle(chain, lane, operation);
    else if (chain.newest !== operation) this.#wait(chain, lane);
    else if (next.kind === 'verified') this.#keep(chain, lane, operation);
    else this.#refuse(chain, lane, next.failure);
  }

  #refuse({ newest, key }: Chain, lane: Lane, failure: BackendFailure): void {
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
  #settle(chain: Chain, lane: Lane, operation: Operation): void {
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
    const hazardMs = lane.late.untilMs(nowMs);
    if (chain.newest !== operation) this.#wait(chain, lane);
    else if (hazardMs === undefined) this.#keep(chain, lane, operation);
    else if (lane.late.callsForLook(operation.generation, nowMs)) {
      lane.verifyAtMs = hazardMs;
      this.#wait(chain, lane, hazardMs - nowMs);
    } else {
      // Known to the next process too until nothing of it can be under way any more.
      this.#enter(lane, 'resting');
      this.#channelOf(lane).addLater(lane, operation, hazardMs - nowMs);
    }
  }

  /** Lets the journal know; the operation goes once every backend has it and that is durable. */
  #keep(chain: Chain, lane: Lane, operation: Operation): void {
    this.#busy += 1;
    this.#enter(lane, 'idle');
    lane.isRemovalInDoubt = false;
    this.#parts.log.settle(operation, lane.backend, this.#turns === 0, () => {
      lane.keptGeneration = Math.max(lane.keptGeneration, operation.generation);
      this.#retire(chain);
      this.#lessBusy();
    });
  }

  #retire(chain: Chain): void {
    const { newest, lanes, key } = chain;
    if (lanes.some(({ keptGeneration }) => keptGeneration < newest.generation)) return;
    if (this.#chains.get(key) !== chain) return;
    this.#chains.delete(key);
    for (const operation of [...chain.doubtful, newest]) this.#drop(operation);
  }

  #enter(lane: Lane, state: LaneState): void {
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

  #changed(channel: Channel, from: BackendHealth): void {
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

  #channelOf(lane: Lane): Channel {
    const channel = this.channels.find(({ backend }) => backend.name === lane.backend);
    if (channel === undefined) throw new RangeError(`no backend ${lane.backend}`);
    return channel;
  }
}

/** Whether a write that was overtaken may still be applied by one of the servers. */
function mayLand({ lanes }: Chain, { generation }: Operation, nowMs: number): boolean {
  return lanes.some(({ late }) => late.mayLand(generation, nowMs));
}
