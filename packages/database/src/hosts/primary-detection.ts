import type { HostRole } from '../events.ts';

/** What a host said of itself when it was asked. */
export interface Sighting {
  /** Takes writes, as far as it knows itself. */
  readonly writable: boolean;
  readonly timeline: number | undefined;
}

/** What is known about a host, for the choice of the one that takes writes. */
export interface Candidate {
  /** `undefined` while it did not answer. */
  readonly sighting: Sighting | undefined;
  /** When it was last asked, whether or not it answered; `-Infinity`: never. */
  readonly askedMs: number;
}

export interface Electorate<Host extends Candidate> {
  readonly hosts: readonly Host[];
  /** Who took writes last. */
  readonly last: Host | undefined;
  /** Since when it is in doubt who does. */
  readonly doubtSinceMs: number;
  /** The latest timeline that any host was ever seen on. */
  readonly timeline: number;
  /** That of the primary that was followed last; 0: none was. */
  readonly followed: number;
  /** So many hosts must answer; with fewer, the others may have moved on. */
  readonly minHostsSeen: number;
}

/**
 * Who takes writes. A promotion begins a new timeline, so of two primaries the one on the higher is right, and
 * one on a timeline that has been left is never chosen, whether a primary or a standby has been seen on the next.
 * On the timeline known already a primary is chosen only when every host was asked since the doubt began: the
 * others may have moved on without it.
 */
export function elect<Host extends Candidate>(electorate: Electorate<Host>): Host | undefined {
  const { hosts, last, doubtSinceMs, followed, minHostsSeen } = electorate;
  const seen = hosts.filter(({ sighting }) => sighting !== undefined).length;
  if (seen < minHostsSeen) return undefined;
  const timeline = Math.max(electorate.timeline, ...hosts.map(timelineOf));
  let best: Host | undefined;
  for (const host of hosts) {
    if (host.sighting?.writable !== true || timelineOf(host) < timeline) continue;
    const isHigher = best === undefined || timelineOf(host) > timelineOf(best);
    const isEqualAndLast =
      host === last && best !== undefined && timelineOf(host) === timelineOf(best);
    if (isHigher || isEqualAndLast) best = host;
  }
  if (best === undefined) return undefined;
  const isPromoted = timelineOf(best) > followed && followed > 0;
  return isPromoted || hosts.every(({ askedMs }) => askedMs >= doubtSinceMs) ? best : undefined;
}

/** What a host is, once it is known who takes writes. */
export function roleOf<Host extends Candidate>(host: Host, electorate: Electorate<Host>): HostRole {
  const { sighting, askedMs } = host;
  if (sighting === undefined) return askedMs === -Infinity ? 'unknown' : 'offline';
  if (!sighting.writable) return 'standby';
  if (host === electorate.last) return 'primary';
  const isLeft = timelineOf(host) < electorate.timeline || electorate.last !== undefined;
  return isLeft ? 'fenced' : 'unknown';
}

function timelineOf({ sighting }: Candidate): number {
  return sighting?.timeline ?? 0;
}
