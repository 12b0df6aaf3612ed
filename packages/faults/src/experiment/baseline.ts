import { SteadyStateError } from '../errors.ts';
import { type EndpointBaseline, type PhaseStats, baselineOf, statsOf } from './samples.ts';
import { binomialTail } from './significance.ts';
import type { Watch } from './watch.ts';

/** How sure a verdict is: a fault without an effect is said to have one in at most one of a thousand experiments. */
export const CONFIDENCE = 0.999;
/** With fewer probes, an endpoint that is always bad could not be told from one that sometimes is. */
const MIN_PROBES = 20;
/** A steady state that would be this unlikely by chance is none. */
const UNLIKELY = 0.01;

/** The steady state as it was before the fault. */
export interface Baseline {
  /** The numbers of the probes whose result was known before the fault; it can have changed any other. */
  readonly probes: ReadonlySet<number>;
  readonly stats: PhaseStats;
  readonly endpoints: ReadonlyMap<string, EndpointBaseline>;
}

interface BaselineOptions {
  readonly name: string;
  readonly endpoints: readonly string[];
  readonly baselineMs: number;
  readonly maxBadShare: number;
}

/**
 * Measures each endpoint for `baselineMs`, longer until {@link MIN_PROBES} results of each are known.
 * @throws SteadyStateError, the signal's reason
 */
export async function measureBaseline(
  watch: Watch,
  { name, endpoints, baselineMs, maxBadShare }: BaselineOptions,
): Promise<Baseline> {
  await watch.until(baselineMs, () => false);
  const read = () => {
    const known = watch.known();
    return { known, all: endpoints.map((each) => [each, baselineOf(known, each)] as const) };
  };
  let { known, all } = read();
  while (all.some(([, { probes }]) => probes < MIN_PROBES)) {
    await watch.interval();
    ({ known, all } = read());
  }
  const unlikely = UNLIKELY / endpoints.length;
  const outside = all.filter(
    ([, { probes, bad }]) => binomialTail(bad, probes, maxBadShare) < unlikely,
  );
  const stats = statsOf(known);
  if (outside.length > 0) throw new SteadyStateError(name, stats, Object.fromEntries(outside));
  return { probes: new Set(known.map(({ index }) => index)), stats, endpoints: new Map(all) };
}

/** Returns the share of bad probes an endpoint may have by chance. */
export function usualBadShare(maxBadShare: number, { probes, bad }: EndpointBaseline): number {
  return maxBadShare === 0 ? 0 : Math.max(maxBadShare, (bad + 1) / (probes + 2));
}
