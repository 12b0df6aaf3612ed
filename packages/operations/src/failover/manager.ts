import {
  type Emitter,
  type Timer,
  abortable,
  createEmitter,
  sleep,
  withDeadline,
} from '@holdfast/foundation';
import {
  type FailoverDecision,
  type FailoverView,
  decideFailover,
  isPrimaryOf,
  strayPrimaries,
} from './decide.ts';
import { FailoverTimeoutError, FencedError } from './errors.ts';
import type {
  FailoverCallOptions,
  FailoverEvents,
  FailoverManager,
  FailoverReason,
  FailoverStep,
  MemberStatus,
  FailoverRoute,
} from './failover.ts';
import {
  type FailoverOptions,
  type ResolvedFailoverOptions,
  parseFailoverOptions,
} from './options.ts';

const CATCH_UP_LOOKS = 5;
const CATCH_UP_MS = 50;

/**
 * Makes a manager and starts its rounds. Several may run; the lease lets one act. The first route is published by
 * hand, or by the deploy that makes the first primary: a manager that knows no primary makes none.
 * @throws InvalidOptionError
 */
export function createFailoverManager(options: FailoverOptions): FailoverManager {
  const manager = new LeasedFailoverManager(parseFailoverOptions(options));
  manager.start();
  return manager;
}

class LeasedFailoverManager implements FailoverManager {
  readonly on: Emitter<FailoverEvents>['on'];
  readonly #emitter: Emitter<FailoverEvents>;
  readonly #options: ResolvedFailoverOptions;
  readonly #closing = new AbortController();
  #view: FailoverView = {
    route: undefined,
    members: new Map(),
    missedRounds: 0,
    lastPosition: undefined,
  };
  #reason: FailoverReason = 'not-leader';
  /** Until when the lease is ours, by the monotonic clock, counted from before it was asked for. */
  #leaderUntilMs = -Infinity;
  /** Since when this manager knows the route of this epoch closed: writers may trust it for `routeTtlMs` from then. */
  #closed: { readonly epoch: number; readonly atMs: number } | undefined;
  #round: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #ended: Promise<void> | undefined;

  constructor(options: ResolvedFailoverOptions) {
    this.#options = options;
    this.#emitter = createEmitter<FailoverEvents>('holdfast:failover', {
      observed: true,
      'failed-over': true,
      failed: true,
      fenced: true,
    });
    this.on = this.#emitter.on;
  }

  start(): void {
    this.#round = this.#run().then(() => {
      if (this.#closing.signal.aborted) return;
      this.#timer = this.#options.clock.schedule(this.#options.intervalMs, () => this.start());
    });
  }

  view(): ReturnType<FailoverManager['view']> {
    const { route, members } = this.#view;
    return { reason: this.#reason, route, members };
  }

  close(): Promise<void> {
    this.#ended ??= this.#close();
    return this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    this.#closing.abort(new DOMException('the failover manager is closed', 'AbortError'));
    await this.#round;
    const { lease, service, holder, clock, callTimeoutMs } = this.#options;
    const late = (): Error => new FailoverTimeoutError('the lease', callTimeoutMs);
    const release = (signal: AbortSignal): Promise<void> =>
      abortable(lease.release(service, holder, { signal }), signal);
    // A lease that cannot be given up ends by itself.
    await withDeadline(clock, callTimeoutMs, undefined, late, release).catch(() => {});
  }

  async #run(): Promise<void> {
    try {
      this.#reason = await this.#decide();
    } catch {
      // Told by the event `failed`; the next round decides anew.
    }
    if (!this.#closing.signal.aborted) this.#emitter.emit('observed', { reason: this.#reason });
  }

  async #decide(): Promise<FailoverReason> {
    const { lease, discovery, service, holder, leaseTtlMs, clock } = this.#options;
    const askedMs = clock.now();
    const isLeader = await this.#step('lease', (options) =>
      lease.hold(service, holder, leaseTtlMs, options),
    );
    if (!isLeader) {
      this.#leaderUntilMs = -Infinity;
      return 'not-leader';
    }
    this.#leaderUntilMs = askedMs + leaseTtlMs;
    await this.#observe(await this.#step('route', (options) => discovery.read(service, options)));
    const decision = decideFailover(this.#view, this.#options);
    const { route } = this.#view;
    if (decision.reason === 'failover' && route !== undefined) {
      return this.#failOver(route, decision.candidate);
    }
    await this.#fenceStrays();
    return decision.reason;
  }

  /** Asks every member at the same time. */
  async #observe(route: FailoverRoute | undefined): Promise<void> {
    const asked = this.#options.members.map(async (member) => {
      const status = await this.#call(member.id, (options) => member.status(options)).catch(
        () => undefined,
      );
      return [member.id, status] as const;
    });
    const members = new Map<string, MemberStatus | undefined>(await Promise.all(asked));
    const before = this.#view;
    const isSame = before.route?.epoch === route?.epoch;
    const primary = route === undefined ? undefined : members.get(route.member);
    const isWell = route !== undefined && isPrimaryOf(route, primary);
    const seen = isWell ? primary?.position : undefined;
    const known = isSame ? before.lastPosition : undefined;
    this.#view = {
      route,
      members,
      missedRounds: isWell ? 0 : (isSame ? before.missedRounds : 0) + 1,
      lastPosition: seen === undefined ? known : Math.max(seen, known ?? seen),
    };
  }

  async #fenceStrays(): Promise<void> {
    const { route } = this.#view;
    if (route === undefined) return;
    for (const id of strayPrimaries(this.#view)) {
      const member = this.#member(id);
      await this.#step('fence', (options) => member.fence(route.epoch, options));
      this.#emitter.emit('fenced', { member: id, epoch: route.epoch });
    }
  }

  /** Close the route, fence the old primary, look again, promote, open the route: each only after the one before. */
  async #failOver(route: FailoverRoute, planned: string): Promise<FailoverReason> {
    const { lease, discovery, service, holder, clock, routeTtlMs } = this.#options;
    const epoch = await this.#step('epoch', (options) => lease.nextEpoch(service, holder, options));
    if (epoch === undefined) return 'not-leader';
    const closed = { ...route, isOpen: false };
    await this.#step('close', (options) => discovery.publish(service, closed, options));
    if (this.#closed?.epoch !== route.epoch)
      this.#closed = { epoch: route.epoch, atMs: clock.now() };
    if (planned !== route.member) {
      const old = this.#member(route.member);
      const isFenced = await this.#step('fence', (options) => old.fence(epoch, options)).then(
        () => true,
        () => false,
      );
      // What cannot be fenced may still take writes from those who trust its route.
      const isOver = clock.now() >= this.#closed.atMs + routeTtlMs;
      if (!isFenced && !isOver) return 'waiting-for-route-to-expire';
    }
    const decision = await this.#chooseAgain(closed, planned, epoch);
    if (decision.reason !== 'failover') return decision.reason;
    const { candidate } = decision;
    const member = this.#member(candidate);
    await this.#step('promote', (options) => member.promote(epoch, options));
    const next = { member: candidate, epoch, isOpen: true };
    await this.#step('route', (options) => discovery.publish(service, next, options));
    this.#emitter.emit('failed-over', { from: route.member, to: candidate, epoch });
    return 'failover';
  }

  /** Compares the candidates' data only now, as the old primary may have gone on until here; they may have to catch up. */
  async #chooseAgain(
    closed: FailoverRoute,
    planned: string,
    epoch: number,
  ): Promise<FailoverDecision> {
    const { clock } = this.#options;
    for (let look = 1; ; look += 1) {
      const seen = this.#view.lastPosition;
      await this.#observe(closed);
      const old = this.#view.members.get(closed.member);
      if (planned !== closed.member && old?.role === 'primary' && old.epoch === epoch) {
        this.#view = { ...this.#view, lastPosition: Math.max(old.position, seen ?? 0) };
      }
      const decision = decideFailover(this.#view, this.#options);
      if (decision.reason === 'failover' || look === CATCH_UP_LOOKS) return decision;
      await sleep(clock, CATCH_UP_MS, this.#closing.signal);
    }
  }

  #member(id: string) {
    const member = this.#options.members.find((each) => each.id === id);
    if (member === undefined)
      throw new FencedError(`the member ${id} is unknown, and the route`, 0);
    return member;
  }

  /** A step of the leader: refused once the lease may be another's. */
  async #step<T>(
    step: FailoverStep,
    call: (options: FailoverCallOptions) => Promise<T>,
  ): Promise<T> {
    try {
      if (step !== 'lease' && this.#options.clock.now() >= this.#leaderUntilMs) {
        throw new FencedError('the lease is over, and this manager', 0);
      }
      return await this.#call(step, call);
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#emitter.emit('failed', { step, error });
      throw error;
    }
  }

  #call<T>(what: string, call: (options: FailoverCallOptions) => Promise<T>): Promise<T> {
    const { clock, callTimeoutMs } = this.#options;
    const late = (): Error => new FailoverTimeoutError(what, callTimeoutMs);
    return withDeadline(clock, callTimeoutMs, this.#closing.signal, late, (signal) =>
      abortable(call({ signal }), signal),
    );
  }
}
