import type { Availability } from '../system/availability.ts';
import {
  type CommandCheck,
  HAS_NSENTER,
  HAS_UNSHARE,
  commandFailure,
  runChecks,
} from '../system/command.ts';
import { type Impairment, LINK_REMEDY } from './impairment.ts';

/** How many packets netem may hold before it drops some; high, so that a delay alone loses none. */
const QUEUE_PACKETS = 100_000;

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
    // In a network that exists for this command only.
    command: ['unshare', '--net', 'tc', ...'qdisc add dev lo root netem delay 1ms'.split(' ')],
    remedy: `Load the kernel's module: 'modprobe sch_netem' (Fedora, RHEL: from kernel-modules-extra)`,
  },
];

/** Whether this machine supports `impair()`, found out by trying it on an unused network. */
export function checkImpairment(): Promise<Availability> {
  return checkNetem(commandFailure);
}

/** @param failureOf runs a command and resolves with its failure. */
export async function checkNetem(
  failureOf: typeof commandFailure,
  signal?: AbortSignal,
): Promise<Availability> {
  if (process.platform !== 'linux') {
    return { available: false, reason: 'it requires Linux', remedy: LINK_REMEDY };
  }
  const result = await runChecks(checks, signal, failureOf);
  return result.available ? result : { ...result, remedy: `${result.remedy}. ${LINK_REMEDY}` };
}

/** The queueing discipline in the arguments of `tc`. */
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
