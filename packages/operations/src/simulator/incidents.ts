import { type Random, integer, number, parseOptions } from '@holdfast/foundation';

/** What an incident does to the service. */
export type IncidentEffect =
  /** The instance is gone; only a restart brings it back. */
  | { readonly kind: 'crash'; readonly instance: number }
  /** The instance takes requests and answers none; a restart cures it. */
  | { readonly kind: 'hang'; readonly instance: number }
  /** The instance loses memory and crashes when all of it is taken; a restart cures it. */
  | { readonly kind: 'leak'; readonly instance: number; readonly perHour: number }
  /** The instance serves `capacityFactor` of what it can. `onHost`: a restart changes nothing. */
  | {
      readonly kind: 'slow';
      readonly instance: number;
      readonly capacityFactor: number;
      readonly onHost: boolean;
    }
  /** The dependency answers nothing. */
  | { readonly kind: 'dependency-down'; readonly dependency: string }
  /** Each answer of the dependency takes `addedMs` more. */
  | { readonly kind: 'dependency-slow'; readonly dependency: string; readonly addedMs: number }
  /** So many times the usual load arrives. */
  | { readonly kind: 'surge'; readonly factor: number };

/** One incident: from `atMs` of the simulation on for `durationMs`; `crash` lasts until a restart. */
export interface Incident {
  readonly atMs: number;
  readonly durationMs: number;
  readonly effect: IncidentEffect;
}

/** Options of `randomIncidents`. All times in milliseconds. */
export interface RandomIncidentsOptions {
  /** From 0 to when incidents begin, in milliseconds. Default one day. */
  withinMs?: number;
  /** Default 50. */
  count?: number;
  /** How many instances there are to be hit. Default 10. */
  instances?: number;
  /** The longest of them, in milliseconds. Default 1 800 000. */
  maxDurationMs?: number;
}

const DAY_MS = 86_400_000;
const schema = {
  withinMs: integer({ min: 1, max: 31_536_000_000, default: DAY_MS }),
  count: integer({ min: 0, max: 1_000_000, default: 50 }),
  instances: integer({ min: 1, max: 10_000, default: 10 }),
  maxDurationMs: number({ min: 1_000, max: DAY_MS, default: 1_800_000 }),
};
const kinds = [
  'crash',
  'hang',
  'leak',
  'slow',
  'dependency-down',
  'dependency-slow',
  'surge',
] as const;
const SHORTEST_MS = 1_000;

/**
 * Draws incidents of all kinds, in the order of their times.
 * @param dependencies the names of those that may fail; without any, no dependency does
 * @throws InvalidOptionError
 */
export function randomIncidents(
  random: Random,
  dependencies: readonly string[],
  options: RandomIncidentsOptions = {},
): readonly Incident[] {
  const { withinMs, count, instances, maxDurationMs } = parseOptions(
    'randomIncidents',
    schema,
    options,
  );
  const below = (end: number): number => Math.floor(random() * end);
  const drawn = Array.from({ length: count }, (): Incident => {
    const atMs = below(withinMs);
    const durationMs = SHORTEST_MS + below(maxDurationMs - SHORTEST_MS);
    const kind = kinds[below(kinds.length)] ?? 'surge';
    const dependency = dependencies[below(dependencies.length)];
    const instance = below(instances);
    return { atMs, durationMs, effect: effectOf(kind, instance, dependency, random) };
  });
  return drawn.toSorted((one, other) => one.atMs - other.atMs);
}

function effectOf(
  kind: (typeof kinds)[number],
  instance: number,
  dependency: string | undefined,
  random: Random,
): IncidentEffect {
  switch (kind) {
    case 'crash':
    case 'hang':
      return { kind, instance };
    case 'leak':
      return { kind, instance, perHour: 0.5 + random() * 4 };
    case 'slow':
      return { kind, instance, capacityFactor: 0.1 + random() * 0.6, onHost: random() < 0.5 };
    case 'dependency-down':
      if (dependency !== undefined) return { kind, dependency };
      break;
    case 'dependency-slow':
      if (dependency !== undefined) return { kind, dependency, addedMs: 50 + random() * 950 };
      break;
    case 'surge':
      break;
  }
  return { kind: 'surge', factor: 1.2 + random() * 2.8 };
}
