import { type Check, HAS_NSENTER, HAS_UNSHARE, commandFailure, firstObstacle } from './command.ts';
import { type Impairment, LINK_INSTEAD } from './impairment.ts';

/** Whether this machine can strike the packets of a server, and if not, why and what to do. */
export type ImpairmentPlan =
  | { readonly available: true }
  | { readonly available: false; readonly why: string; readonly wayOut: string };

/** Packets under way at once beyond which netem drops, so that a delay alone loses none. */
const QUEUE_PACKETS = 100_000;

/** What is tried, in this order. */
const checks: readonly Check[] = [
  HAS_NSENTER,
  HAS_UNSHARE,
  {
    command: ['tc', '-V'],
    wayOut: `Install it: 'apt-get install iproute2' (Debian, Ubuntu), 'dnf install iproute-tc' (Fedora, RHEL)`,
  },
  {
    command: ['nsenter', '--net=/proc/self/ns/net', 'true'],
    wayOut: 'Run as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN',
  },
  {
    // In a network of its own, which ends with it.
    command: ['unshare', '--net', 'tc', ...'qdisc add dev lo root netem delay 1ms'.split(' ')],
    wayOut: `Load the kernel's module: 'modprobe sch_netem' (Fedora, RHEL: from kernel-modules-extra)`,
  },
];

/**
 * Finds out, before anything is broken, whether `impair()` can be had for the servers of this machine: by
 * trying it on a network that nobody uses.
 */
export function planImpairment(): Promise<ImpairmentPlan> {
  return planWith(commandFailure);
}

/** @param failureOf runs a command and says how it failed. */
export async function planWith(
  failureOf: typeof commandFailure,
  signal?: AbortSignal,
): Promise<ImpairmentPlan> {
  if (process.platform !== 'linux') {
    return { available: false, why: 'it takes Linux', wayOut: LINK_INSTEAD };
  }
  const obstacle = await firstObstacle(checks, signal, failureOf);
  if (obstacle === undefined) return { available: true };
  const { why, wayOut } = obstacle;
  return { available: false, why, wayOut: `${wayOut}. ${LINK_INSTEAD}` };
}

/** The queueing discipline, as `tc` is told it. */
export function netem(impairment: Impairment): string[] {
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
