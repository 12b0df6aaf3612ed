import type { Distribution } from '@holdfast/foundation';
import type { ErrorKind } from '@holdfast/resilience';
import type { ResolvedLoad } from './load-options.ts';
import type { LoadCounts, LoadWindow } from './load-record.ts';

/** What kept the load from being served. */
export interface LoadBottleneck {
  /**
   * `generator`: this process was late with sending; `concurrency`: `maxInFlight` was reached; `stall`: no response for
   * whole windows; `saturation`: responses came more slowly than requests, and ever later; `errors`: responses failed;
   * `unanswered`: requests had no response.
   */
  readonly kind: 'generator' | 'concurrency' | 'stall' | 'saturation' | 'errors' | 'unanswered';
  /** The first window of the timeline that shows it. */
  readonly atMs: number;
  /** A sentence with its numbers. */
  readonly detail: string;
}

/** What the measurements of a load say about where it was held up. */
export interface LoadFindings {
  /** In the order in which to look at them; empty when the load was served. */
  readonly bottlenecks: readonly LoadBottleneck[];
  /** What to do, a sentence for each bottleneck; without one, how to find the limit. */
  readonly recommendations: readonly string[];
}

interface Measured extends LoadCounts {
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  readonly sendDelay: Distribution;
  readonly timeline: readonly LoadWindow[];
  readonly duration: number;
  readonly peakLoad: number;
}

/** A generator that is later than this for one request of a hundred measures itself. */
const LATE_MS = 20;
/** A window is saturated below this share of its arrivals, at this multiple of the latency of the best window. */
const SERVED_SHARE = 0.95;
const SLOWER = 5;
const SLOWER_MS = 10;

/** A bottleneck and what to do about it. */
type Finding = readonly [bottleneck: LoadBottleneck, recommendation: string];
type Limits = Pick<ResolvedLoad, 'maxInFlight' | 'windowMs'>;

/** Reads what a load measured as a person would. @param unsent of the dropped: those that were due to the end. */
export function findingsOf(measured: Measured, unsent: number, limits: Limits): LoadFindings {
  const findings = [
    lateGenerator(measured, unsent),
    fullLoad(measured, unsent, limits),
    stall(measured, limits),
    saturation(measured, limits),
    failures(measured),
    silence(measured),
  ].filter((finding) => finding !== undefined);
  const bottlenecks = findings.map(([bottleneck]) => bottleneck);
  const recommendations = findings.map(([, recommendation]) => recommendation);
  if (findings.length > 0) return { bottlenecks, recommendations };
  const peak = round(measured.peakLoad);
  const further = `All requests were served up to ${peak} a second; add stages with higher rates to find the limit.`;
  return { bottlenecks, recommendations: [further] };
}

function lateGenerator({ sendDelay }: Measured, unsent: number): Finding | undefined {
  if (unsent === 0 && sendDelay.p99Ms <= LATE_MS) return undefined;
  const detail = `requests were sent up to ${round(sendDelay.maxMs)} ms late, and ${unsent} never: this process was busy`;
  return [
    { kind: 'generator', atMs: 0, detail },
    'Spread the load over more processes, away from the service, or lower the rate: these numbers measure the generator too.',
  ];
}

function fullLoad(
  measured: Measured,
  unsent: number,
  { maxInFlight }: Limits,
): Finding | undefined {
  const refused = measured.dropped - unsent;
  if (refused <= 0) return undefined;
  const detail = `${refused} of ${measured.offered} requests were dropped with ${maxInFlight} in flight`;
  return [
    { kind: 'concurrency', atMs: firstOf(measured, ({ dropped }) => dropped > 0), detail },
    'Raise maxInFlight if the service is meant to hold more requests; otherwise shed load in the service, before it queues.',
  ];
}

function stall({ timeline, duration }: Measured, { windowMs }: Limits): Finding | undefined {
  const stalled = stallOf(timeline, windowMs, duration);
  if (stalled === undefined) return undefined;
  return [
    { kind: 'stall', atMs: stalled.atMs, detail: `no response for ${stalled.lastedMs} ms` },
    'Look at what the service waited for at that time: a lock, a pool, a failover, a blocked event loop.',
  ];
}

function saturation({ timeline, duration }: Measured, { windowMs }: Limits): Finding | undefined {
  const saturated = saturationOf(timeline, windowMs, duration);
  if (saturated === undefined) return undefined;
  const rate = round(saturated.perSecond);
  const detail = `responses no longer kept up: ${rate} a second at most`;
  return [
    { kind: 'saturation', atMs: saturated.atMs, detail },
    `Keep the rate below ${rate} a second, or add capacity; limit concurrency so that latency stays bounded.`,
  ];
}

function failures(measured: Measured): Finding | undefined {
  if (measured.failed === 0) return undefined;
  const kinds = Object.entries(measured.errors).toSorted(([, one], [, other]) => other - one);
  const counted = kinds.map(([kind, count]) => `${kind} ${count}`).join(', ');
  const detail = `${measured.failed} of ${measured.offered} requests failed: ${counted}`;
  return [
    { kind: 'errors', atMs: firstOf(measured, ({ failed }) => failed > 0), detail },
    `Look at ${kinds[0]?.[0] ?? 'the errors'} first, the most frequent kind.`,
  ];
}

function silence(measured: Measured): Finding | undefined {
  if (measured.unfinished === 0) return undefined;
  const detail = `${measured.unfinished} of ${measured.offered} requests had no response`;
  return [
    { kind: 'unanswered', atMs: firstOf(measured, ({ unfinished }) => unfinished > 0), detail },
    'Give every request a timeout, in the client and in the service.',
  ];
}

function firstOf({ timeline }: Measured, shows: (window: LoadWindow) => boolean): number {
  return timeline.find(shows)?.atMs ?? 0;
}

/** The longest run of whole windows without a response while requests were waiting. */
function stallOf(
  timeline: readonly LoadWindow[],
  windowMs: number,
  duration: number,
): { readonly atMs: number; readonly lastedMs: number } | undefined {
  let longest: { atMs: number; lastedMs: number } | undefined;
  let current: typeof longest;
  let waiting = 0;
  for (const { atMs, offered, dropped, succeeded, failed } of timeline) {
    waiting += offered - dropped - succeeded - failed;
    const isSilent = succeeded + failed === 0 && waiting > 0 && atMs + windowMs <= duration;
    if (!isSilent) current = undefined;
    else if (current === undefined) current = { atMs, lastedMs: windowMs };
    else current.lastedMs += windowMs;
    if (current !== undefined && current.lastedMs > (longest?.lastedMs ?? 0)) longest = current;
  }
  return longest === undefined ? undefined : { ...longest };
}

/** The first of two windows in turn in which responses fell behind, and the most successes a second in any window, if any. */
function saturationOf(
  timeline: readonly LoadWindow[],
  windowMs: number,
  duration: number,
): { readonly atMs: number; readonly perSecond: number } | undefined {
  const whole = timeline.filter(({ atMs }) => atMs + windowMs <= duration);
  const best = whole.reduce(
    (least, { latency }) => (latency.count > 0 ? Math.min(least, latency.p50Ms) : least),
    Number.POSITIVE_INFINITY,
  );
  const isBehind = (window: LoadWindow | undefined): boolean =>
    window !== undefined &&
    window.succeeded + window.failed < window.offered * SERVED_SHARE &&
    window.latency.p50Ms > Math.max(best * SLOWER, best + SLOWER_MS);
  const at = whole.findIndex((window, index) => isBehind(window) && isBehind(whole[index + 1]));
  const first = whole[at];
  if (first === undefined) return undefined;
  const most = whole.reduce((count, { succeeded }) => Math.max(count, succeeded), 0);
  return most === 0 ? undefined : { atMs: first.atMs, perSecond: (most / windowMs) * 1_000 };
}

function round(value: number): number {
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}
