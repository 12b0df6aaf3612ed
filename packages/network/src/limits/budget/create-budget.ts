import {
  type Clock,
  type Emitter,
  InvalidOptionError,
  LinkedList,
  type ResolvedOptions,
  type Subscribe,
  createEmitter,
  integer,
  number,
  object,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { NetworkClosedError } from '../../errors.ts';
import { BudgetExhaustedError } from '../errors.ts';
import { BoundedWait } from '../bounded-wait.ts';
import {
  type ResourceBudget,
  type BudgetAmounts,
  type BudgetEvents,
  type BudgetLevel,
  type BudgetOptions,
  type BudgetRefusal,
  type BudgetResource,
  type BudgetStats,
  type ResourceReservation,
  type ReserveOptions,
  budgetEventKinds,
} from './budget.ts';

const budgetResources = [
  'descriptors',
  'bytes',
  'disk',
] as const satisfies readonly BudgetResource[];

const amount = integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const schema = {
  name: string({ maxLength: 200, default: 'budget' }),
  limits: object({
    descriptors: optional(amount),
    bytes: optional(amount),
    disk: optional(amount),
  }),
  evictAt: number({ min: 0, max: 1, default: 0.7 }),
  shedAt: number({ min: 0, max: 1, default: 0.85 }),
  maxWaiting: integer({ min: 0, max: 1_000_000, default: 1_000 }),
  timeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 5_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};
const parsedTimeout = integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

/**
 * Reserves descriptors, bytes and disk before they are used, and refuses or lets wait what is over the limits.
 * @throws InvalidOptionError
 */
export function createBudget(options: BudgetOptions): ResourceBudget {
  const resolved = parseOptions('createBudget', schema, options);
  if (Object.values(resolved.limits).every((limit) => limit === undefined)) {
    const permitted = 'limits of descriptors, bytes or disk, at least one';
    throw new InvalidOptionError('createBudget', 'limits', options.limits, permitted);
  }
  if (resolved.evictAt > resolved.shedAt) {
    const permitted = `at most shedAt (${resolved.shedAt})`;
    throw new InvalidOptionError('createBudget', 'evictAt', resolved.evictAt, permitted);
  }
  return new ReservedBudget(resolved);
}

class QueuedReservation extends BoundedWait<ResourceReservation> {
  amounts: BudgetAmounts = {};
}

function isResource(key: string): key is BudgetResource {
  return key === 'descriptors' || key === 'bytes' || key === 'disk';
}

type GiveBack = (descriptors: number, bytes: number, disk: number) => void;

class HeldReservation implements ResourceReservation {
  #descriptors: number;
  #bytes: number;
  #disk: number;
  readonly #giveBack: GiveBack;

  constructor(descriptors: number, bytes: number, disk: number, giveBack: GiveBack) {
    this.#descriptors = descriptors;
    this.#bytes = bytes;
    this.#disk = disk;
    this.#giveBack = giveBack;
  }

  release(): void {
    this.#shrink(0, 0, 0);
  }

  shrink({ descriptors = 0, bytes = 0, disk = 0 }: BudgetAmounts): void {
    this.#shrink(Math.max(0, descriptors), Math.max(0, bytes), Math.max(0, disk));
  }

  #shrink(descriptors: number, bytes: number, disk: number): void {
    const overDescriptors = Math.max(0, this.#descriptors - descriptors);
    const overBytes = Math.max(0, this.#bytes - bytes);
    const overDisk = Math.max(0, this.#disk - disk);
    this.#descriptors -= overDescriptors;
    this.#bytes -= overBytes;
    this.#disk -= overDisk;
    if (overDescriptors + overBytes + overDisk > 0) {
      this.#giveBack(overDescriptors, overBytes, overDisk);
    }
  }
}

class ReservedBudget implements ResourceBudget {
  readonly name: string;
  readonly on: Subscribe<BudgetEvents>;
  readonly #emitter: Emitter<BudgetEvents> = createEmitter('holdfast:budget', budgetEventKinds);
  readonly #options: ResolvedOptions<typeof schema>;
  readonly #limits: Record<BudgetResource, number>;
  readonly #used: Record<BudgetResource, number> = { descriptors: 0, bytes: 0, disk: 0 };
  readonly #levels: Record<BudgetResource, BudgetLevel> = {
    descriptors: 'free',
    bytes: 'free',
    disk: 'free',
  };
  readonly #queue = new LinkedList<QueuedReservation>();
  readonly #giveBack: GiveBack = (descriptors, bytes, disk) => {
    if (descriptors > 0) this.#change('descriptors', -descriptors);
    if (bytes > 0) this.#change('bytes', -bytes);
    if (disk > 0) this.#change('disk', -disk);
    if (this.#queue.size > 0) this.#serve();
  };
  #granted = 0;
  #refused = 0;
  #closed = false;

  constructor(options: ResolvedOptions<typeof schema>) {
    const { descriptors = 0, bytes = 0, disk = 0 } = options.limits;
    this.name = options.name;
    this.on = this.#emitter.on;
    this.#options = options;
    this.#limits = { descriptors, bytes, disk };
  }

  tryReserve(
    amounts: BudgetAmounts,
    options?: Pick<ReserveOptions, 'priority'>,
  ): ResourceReservation | undefined {
    this.#check('budget.tryReserve', amounts);
    if (this.#closed || this.#overLimit(amounts) !== undefined) return undefined;
    if (
      options?.priority === 'low' &&
      this.#shortFor(amounts, this.#options.shedAt) !== undefined
    ) {
      return undefined;
    }
    return this.#grantNow(amounts);
  }

  async reserve(
    amounts: BudgetAmounts,
    options: ReserveOptions = {},
  ): Promise<ResourceReservation> {
    this.#check('budget.reserve', amounts);
    options.signal?.throwIfAborted();
    if (this.#closed) throw new NetworkClosedError(`budget ${this.name}`);
    const tooLarge = this.#overLimit(amounts);
    if (tooLarge !== undefined) throw this.#refuse(tooLarge, 'too-large', amounts);
    if (options.priority === 'low') {
      const short = this.#shortFor(amounts, this.#options.shedAt);
      if (short !== undefined) throw this.#refuse(short, 'shed', amounts);
    }
    const granted = this.#grantNow(amounts);
    if (granted !== undefined) return granted;
    return this.#wait(amounts, options);
  }

  level(resource: BudgetResource): BudgetLevel {
    return this.#levels[resource];
  }

  setLimit(resource: BudgetResource, limit: number): void {
    if (!(this.#limits[resource] > 0)) {
      const permitted = 'one that the budget was made with';
      throw new InvalidOptionError('budget.setLimit', 'resource', resource, permitted);
    }
    this.#limits[resource] = amount.parse(limit, 'limit', 'budget.setLimit');
    this.#change(resource, 0);
    this.#serve();
  }

  getStats(): BudgetStats {
    return {
      used: { ...this.#used },
      limits: { ...this.#limits },
      waiting: this.#queue.size,
      granted: this.#granted,
      refused: this.#refused,
    };
  }

  close(): void {
    this.#closed = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      next.refuse(new NetworkClosedError(`budget ${this.name}`));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #wait(
    amounts: BudgetAmounts,
    { signal, timeoutMs }: ReserveOptions,
  ): Promise<ResourceReservation> {
    const short = this.#shortFor(amounts, 1) ?? this.#firstOf(amounts);
    if (this.#queue.size >= this.#options.maxWaiting)
      throw this.#refuse(short, 'queue-full', amounts);
    const queued: QueuedReservation = new QueuedReservation({
      clock: this.#options.clock,
      timeoutMs:
        timeoutMs === undefined
          ? this.#options.timeoutMs
          : parsedTimeout.parse(timeoutMs, 'timeoutMs', 'budget.reserve'),
      signal,
      leave: () => {
        this.#queue.remove(queued);
        // Those behind it may have waited only for their turn.
        this.#serve();
      },
      late: () => this.#refuse(short, 'timeout', amounts),
    });
    queued.amounts = amounts;
    this.#queue.append(queued);
    const { [short]: wanted = 0 } = amounts;
    const missing = this.#used[short] + wanted - this.#limits[short];
    if (missing > 0)
      this.#emitter.emit('evict', { name: this.name, resource: short, amount: missing });
    return queued.promise;
  }

  /** Grants what fits, in order: what a waiting reservation wants is closed to all behind it. */
  #serve(): void {
    if (this.#queue.size === 0) return;
    const wantedBefore = new Set<BudgetResource>();
    for (const next of this.#queue) {
      const wanted = budgetResources.filter((resource) => (next.amounts[resource] ?? 0) > 0);
      const mustWait = wanted.some((resource) => wantedBefore.has(resource));
      if (!mustWait && this.#shortFor(next.amounts, 1) === undefined) {
        this.#queue.remove(next);
        next.admit(this.#take(next.amounts));
        continue;
      }
      for (const resource of wanted) wantedBefore.add(resource);
      if (wantedBefore.size === budgetResources.length) return;
    }
  }

  #grantNow(amounts: BudgetAmounts): ResourceReservation | undefined {
    for (const { amounts: earlier } of this.#queue.size === 0 ? [] : this.#queue) {
      for (const resource of budgetResources) {
        if ((amounts[resource] ?? 0) > 0 && (earlier[resource] ?? 0) > 0) return undefined;
      }
    }
    return this.#shortFor(amounts, 1) === undefined ? this.#take(amounts) : undefined;
  }

  #take({ descriptors = 0, bytes = 0, disk = 0 }: BudgetAmounts): ResourceReservation {
    this.#granted += 1;
    if (descriptors > 0) this.#change('descriptors', descriptors);
    if (bytes > 0) this.#change('bytes', bytes);
    if (disk > 0) this.#change('disk', disk);
    return new HeldReservation(descriptors, bytes, disk, this.#giveBack);
  }

  #change(resource: BudgetResource, by: number): void {
    this.#used[resource] += by;
    const used = this.#used[resource];
    const limit = this.#limits[resource];
    const { evictAt, shedAt } = this.#options;
    let level: BudgetLevel = 'free';
    if (used > 0 && used >= evictAt * limit) {
      level = used >= limit ? 'refuse' : used >= shedAt * limit ? 'shed' : 'evict';
      const over = Math.ceil(used - evictAt * limit);
      if (by > 0 && over > 0)
        this.#emitter.emit('evict', { name: this.name, resource, amount: over });
    }
    if (level === this.#levels[resource]) return;
    this.#levels[resource] = level;
    this.#emitter.emit('level', { name: this.name, resource, level });
  }

  /** The first resource of which this is more than is left below a share of the limit. */
  #shortFor(amounts: BudgetAmounts, share: number): BudgetResource | undefined {
    for (const resource of budgetResources) {
      const wanted = amounts[resource] ?? 0;
      if (wanted > 0 && this.#used[resource] + wanted > this.#limits[resource] * share)
        return resource;
    }
    return undefined;
  }

  #overLimit(amounts: BudgetAmounts): BudgetResource | undefined {
    for (const resource of budgetResources) {
      if ((amounts[resource] ?? 0) > this.#limits[resource]) return resource;
    }
    return undefined;
  }

  #firstOf(amounts: BudgetAmounts): BudgetResource {
    return budgetResources.find((resource) => (amounts[resource] ?? 0) > 0) ?? 'descriptors';
  }

  #check(owner: string, amounts: BudgetAmounts): void {
    // No list of entries: it would cost as much as the rest of a reservation.
    for (const key in amounts) {
      if (isResource(key) && this.#limits[key] > 0) {
        const value = amounts[key] ?? 0;
        if (Number.isSafeInteger(value) && value >= 0) continue;
        throw new InvalidOptionError(
          owner,
          `amounts.${key}`,
          value,
          'a whole number of at least 0',
        );
      }
      const limited = budgetResources.filter((known) => this.#limits[known] > 0).join(', ');
      const permitted = `one of what has a limit (${limited})`;
      throw new InvalidOptionError(owner, `amounts.${key}`, Reflect.get(amounts, key), permitted);
    }
  }

  #refuse(
    resource: BudgetResource,
    reason: BudgetRefusal,
    amounts: BudgetAmounts,
  ): BudgetExhaustedError {
    this.#refused += 1;
    const { name } = this;
    if (this.#emitter.hasListeners('refused'))
      this.#emitter.emit('refused', { name, resource, reason });
    const seen =
      `${amounts[resource] ?? 0} ${resource} wanted (${reason}), ` +
      `${this.#used[resource]} of ${this.#limits[resource]} used, ${this.#queue.size} waiting`;
    return new BudgetExhaustedError(name, resource, reason, seen);
  }
}
