import {
  type CommandCheck,
  HAS_NSENTER,
  HAS_UNSHARE,
  commandFailure,
  firstFailedCheck,
} from '../system/command.ts';
import { type Impairment, LINK_REMEDY } from './impairment.ts';

/** Whether this machine can strike the packets of a server, and if not, why and what to do. */
export type Availability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

/** Packets under way at once beyond which netem drops, so that a delay alone loses none. */
const QUEUE_PACKETS = 100_000;

/** What is tried, in this order. */
const checks: readonly CommandCheck[] = [
  HAS_NSENTER,
  HAS_UNSHARE,
  {
    command: ['tc', '-V'],
    remedy: `Install it: 'apt-get install iproute2' (Debian, Ubuntu), 'dnf install iproute-tc' (Fedora, RHEL)`,
  },
  {
    command: ['nsenter', '--net=/proc/self/ns/net', 'true'],
    remedy: 'Run as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN',
  },
  {
    // In a network of its own, which ends with it.
    command: ['unshare', '--net', 'tc', ...'qdisc add dev lo root netem delay 1ms'.split(' ')],
    remedy: `Load the kernel's module: 'modprobe sch_netem' (Fedora, RHEL: from kernel-modules-extra)`,
  },
];

/**
 * Finds out, before anything is broken, whether `impair()` can be had for the servers of this machine: by
 * trying it on a network that nobody uses.
 */
export function checkImpairment(): Promise<Availability> {
  return checkNetem(commandFailure);
}

/** @param failureOf runs a command and says how it failed. */
export async function checkNetem(
  failureOf: typeof commandFailure,
  signal?: AbortSignal,
): Promise<Availability> {
  if (process.platform !== 'linux') {
    return { available: false, reason: 'it takes Linux', remedy: LINK_REMEDY };
  }
  const obstacle = await firstFailedCheck(checks, signal, failureOf);
  if (obstacle === undefined) return { available: true };
  const { reason, remedy } = obstacle;
  return { available: false, reason, remedy: `${remedy}. ${LINK_REMEDY}` };
}

/** The queueing discipline, as `tc` is told it. */
export function netemArguments(impairment: Impairment): string[] {
  const { delayMs, jitterMs, lossRatio, duplicateRatio, corruptRatio, reorderRatio } = impairment;
  const ratios = Object.entries({
    loss: lossRatio,
    duplicate: duplicateRatio,
    corrupt: corruptRatio,
    reorder: reorderRatio,
  });
  return [
    'netem',
    'limit',
    String(QUEUE_PACKETS),
    ...(delayMs > 0 ? ['delay', `${delayMs}ms`] : []),
    ...(jitterMs > 0 ? [`${jitterMs}ms`] : []),
    ...ratios.flatMap(([name, ratio]) => (ratio > 0 ? [name, `${ratio * 100}%`] : [])),
  ];
}
