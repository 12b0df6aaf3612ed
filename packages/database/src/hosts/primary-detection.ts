import type { HostRole } from '../events.ts';

/** What a probe of a host reported. */
export interface ProbeReport {
  /** Whether the host accepts writes by its own account. */
  readonly writable: boolean;
  /** `undefined`: it could not be read, so the host cannot be called abandoned. */
  readonly timeline: number | undefined;
}

/** What is known about a host when the primary is detected. */
export interface ProbedHost {
  /** `undefined` when the last probe failed. */
  readonly lastProbe: ProbeReport | undefined;
  /** When it was last probed, successfully or not; `-Infinity`: never. */
  readonly probedMs: number;
}

export interface ClusterView<Host extends ProbedHost> {
  readonly hosts: readonly Host[];
  /** The host that accepted writes last. */
  readonly lastPrimary: Host | undefined;
  /** Since when the primary is suspect. */
  readonly suspectSinceMs: number;
  /** The latest timeline that any host was ever seen on. */
  readonly timeline: number;
  /** The timeline of the last primary; 0: there was none. */
  readonly lastTimeline: number;
  /** How many hosts must respond; with fewer, the others may have a new primary. */
  readonly minHostsSeen: number;
}

/**
 * Detects the host that accepts writes. A promotion begins a new timeline, so of two primaries the one on the later
 * timeline is right, and a host on an abandoned timeline is never detected, whether a primary or a standby was seen
 * on the later one. A primary on the known timeline is accepted only once every host was probed since it became
 * suspect, because the others may have promoted another one.
 */
export function detectPrimary<Host extends ProbedHost>(view: ClusterView<Host>): Host | undefined {
  const { hosts, lastPrimary, suspectSinceMs, lastTimeline, minHostsSeen } = view;
  const seen = hosts.filter(({ lastProbe }) => lastProbe !== undefined).length;
  if (seen < minHostsSeen) return undefined;
  const timeline = Math.max(view.timeline, ...hosts.map(timelineOf));
  let best: Host | undefined;
  for (const host of hosts) {
    if (host.lastProbe?.writable !== true || isBehind(host, timeline)) continue;
    const isLater = best === undefined || timelineOf(host) > timelineOf(best);
    const isLastOnSame =
      host === lastPrimary && best !== undefined && timelineOf(host) === timelineOf(best);
    if (isLater || isLastOnSame) best = host;
  }
  if (best === undefined) return undefined;
  const isPromoted = timelineOf(best) > lastTimeline && lastTimeline > 0;
  return isPromoted || hosts.every(({ probedMs }) => probedMs >= suspectSinceMs) ? best : undefined;
}

/** The role of a host, given the primary. */
export function roleOf<Host extends ProbedHost>(host: Host, view: ClusterView<Host>): HostRole {
  const { lastProbe, probedMs } = host;
  if (lastProbe === undefined) return probedMs === -Infinity ? 'unknown' : 'offline';
  if (!lastProbe.writable) return 'standby';
  if (host === view.lastPrimary) return 'primary';
  const isAbandoned = isBehind(host, view.timeline) || view.lastPrimary !== undefined;
  return isAbandoned ? 'fenced' : 'unknown';
}

function isBehind({ lastProbe }: ProbedHost, timeline: number): boolean {
  return lastProbe?.timeline !== undefined && lastProbe.timeline < timeline;
}

function timelineOf({ lastProbe }: ProbedHost): number {
  return lastProbe?.timeline ?? 0;
}
