import {
  type Clock,
  type Emitter,
  InvalidOptionError,
  type OptionRule,
  type Subscribe,
  type Timer,
  callSafely,
  callback,
  createEmitter,
  integer,
  objectWith,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import {
  type Degradation,
  type DegradationEvents,
  type DegradationStats,
  type Feature,
  type FeatureReport,
  degradationEventKinds,
} from './degradation.ts';
import { UnknownFeatureError } from './errors.ts';
import {
  type EffectiveState,
  type FeatureEdges,
  type OwnState,
  effectiveStates,
  orderOf,
} from './feature-graph.ts';

/** Options of `createGracefulDegradation`. */
export interface DegradationOptions {
  /** The features, by name. */
  features: Readonly<Record<string, Feature>>;
  /** How long a feature has to work before it is on again, in milliseconds. Default 30 000. */
  restoreAfterMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const OWNER = 'createGracefulDegradation';
const DAY_MS = 86_400_000;

const names: OptionRule<readonly string[]> = {
  permitted: 'a list of names of features',
  parse(value, field, owner) {
    if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
    throw new InvalidOptionError(owner, field, value, 'a list of names of features');
  },
  defaultValue: () => [],
};
const featureSchema = {
  needs: names,
  prefers: names,
  adjust: optional(callback<(state: 'degraded' | 'off', reason: string) => unknown>()),
  restore: optional(callback<() => unknown>()),
};

interface ResolvedFeature {
  readonly needs: readonly string[];
  readonly prefers: readonly string[];
  readonly adjust: Feature['adjust'] | undefined;
  readonly restore: Feature['restore'] | undefined;
}

const features: OptionRule<Readonly<Record<string, ResolvedFeature>>> = {
  permitted: 'an object of features by name',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, 'an object of features by name');
    }
    return Object.fromEntries(
      Object.entries(value).map(([name, feature]) => [
        name,
        parseOptions(owner, featureSchema, feature, `${field}.${name}`),
      ]),
    );
  },
};
const schema = {
  features,
  restoreAfterMs: integer({ min: 0, max: DAY_MS, default: 30_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Makes the features known; all of them are on.
 * @throws InvalidOptionError, FeatureCycleError, UnknownFeatureError
 */
export function createGracefulDegradation(options: DegradationOptions): Degradation {
  const resolved = parseOptions(OWNER, schema, options);
  return new GraphDegradation(resolved.features, resolved.restoreAfterMs, resolved.clock);
}

class GraphDegradation implements Degradation {
  readonly on: Subscribe<DegradationEvents>;
  readonly #emitter: Emitter<DegradationEvents> = createEmitter(
    'holdfast:degradation',
    degradationEventKinds,
  );
  readonly #features: Readonly<Record<string, ResolvedFeature>>;
  readonly #edges: FeatureEdges;
  readonly #order: readonly string[];
  readonly #restoreAfterMs: number;
  readonly #clock: Clock;
  readonly #own = new Map<string, OwnState>();
  readonly #restoring = new Map<string, { readonly timer: Timer; readonly dueMs: number }>();
  #effective: ReadonlyMap<string, EffectiveState>;
  #changes = 0;

  constructor(
    given: Readonly<Record<string, ResolvedFeature>>,
    restoreAfterMs: number,
    clock: Clock,
  ) {
    this.on = this.#emitter.on;
    this.#features = given;
    this.#edges = given;
    this.#order = orderOf(given);
    this.#restoreAfterMs = restoreAfterMs;
    this.#clock = clock;
    this.#effective = effectiveStates(this.#order, this.#edges, this.#own);
  }

  degradeFeature(feature: string, reason: string, state: 'degraded' | 'off' = 'off'): void {
    this.#assertKnown(feature);
    if (state !== 'degraded' && state !== 'off') {
      throw new InvalidOptionError('degradeFeature', 'state', state, "'degraded' or 'off'");
    }
    this.#restoring.get(feature)?.timer.cancel();
    this.#restoring.delete(feature);
    this.#own.set(feature, { state, reason });
    this.#apply();
  }

  restoreFeature(feature: string): void {
    this.#assertKnown(feature);
    if (!this.#own.has(feature) || this.#restoring.has(feature)) return;
    const restore = (): void => {
      this.#restoring.delete(feature);
      this.#own.delete(feature);
      this.#apply();
    };
    const delayMs = this.#restoreAfterMs;
    const timer = this.#clock.schedule(delayMs, restore, { holdsProcess: false });
    this.#restoring.set(feature, { timer, dueMs: this.#clock.now() + delayMs });
  }

  checkFeatureAvailability(feature: string): boolean {
    return this.#stateOf(feature).state !== 'off';
  }

  report(feature: string): FeatureReport {
    const { state: effective, reason, cause } = this.#stateOf(feature);
    const dueMs = this.#restoring.get(feature)?.dueMs;
    return {
      effective,
      own: this.#own.get(feature)?.state ?? 'on',
      ...(reason === undefined ? {} : { reason }),
      ...(cause === undefined ? {} : { cause }),
      ...(dueMs === undefined ? {} : { restoresInMs: Math.max(0, dueMs - this.#clock.now()) }),
    };
  }

  dependentsOf(feature: string): readonly string[] {
    this.#assertKnown(feature);
    const affected = new Set([feature]);
    for (const name of this.#order) {
      const { needs, prefers } = this.#edges[name] ?? { needs: [], prefers: [] };
      if ([...needs, ...prefers].some((needed) => affected.has(needed))) affected.add(name);
    }
    affected.delete(feature);
    return [...affected];
  }

  getStats(): DegradationStats {
    const entries = this.#order.map((name) => [name, this.#stateOf(name).state] as const);
    return { features: Object.fromEntries(entries), changes: this.#changes };
  }

  close(): void {
    for (const { timer } of this.#restoring.values()) timer.cancel();
    this.#restoring.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #assertKnown(feature: string): void {
    if (!this.#effective.has(feature)) throw new UnknownFeatureError(feature, this.#order);
  }

  #stateOf(feature: string): EffectiveState {
    const state = this.#effective.get(feature);
    if (state === undefined) throw new UnknownFeatureError(feature, this.#order);
    return state;
  }

  /** All states are known before the first listener runs, so that none of them sees half a change. */
  #apply(): void {
    const before = this.#effective;
    this.#effective = effectiveStates(this.#order, this.#edges, this.#own);
    const after = this.#effective;
    for (const feature of this.#order) {
      const from = before.get(feature)?.state ?? 'on';
      const { state: to, reason, cause } = after.get(feature) ?? { state: 'on' };
      if (from === to) continue;
      this.#changes += 1;
      const { adjust, restore } = this.#features[feature] ?? {};
      if (to === 'on') {
        if (restore !== undefined) callSafely(`restore of the feature ${feature}`, restore);
      } else if (adjust !== undefined) {
        callSafely(`adjust of the feature ${feature}`, adjust, to, reason ?? '');
      }
      const why = {
        ...(reason === undefined ? {} : { reason }),
        ...(cause === undefined ? {} : { cause }),
      };
      this.#emitter.emit('changed', { feature, from, to, ...why });
    }
  }
}
