import { HoldfastError, InvalidOptionError, isHoldfastError } from '@holdfast/foundation';
import { clockLibrary } from './clock-library.ts';
import { run } from './command.ts';
import { preloadObstacle } from './preloadable.ts';

/** Faults of the machine itself, none of which needs root. */
export type HostFaultKind = 'connectHang' | 'partition' | 'fullDisk' | 'descriptors' | 'clock';

/** Whether a fault can be had on this machine, and if not, why. */
export type HostPlan =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string };

/** This machine cannot do it; nothing was started. */
export class HostFaultUnavailableError extends HoldfastError {
  readonly code = 'HOST_FAULT_UNAVAILABLE';
  readonly kind: HostFaultKind;

  constructor(kind: HostFaultKind, reason: string) {
    super(`${kind} cannot be had on this machine: ${reason}`, { outcome: 'not-applied' });
    this.kind = kind;
  }
}

/** How a namespace of one's own is entered: an own network, own mounts, root in it and nowhere else. */
export const NAMESPACE = ['unshare', '-Urnm'] as const;
const OUR_LOCK = 'XTABLES_LOCKFILE=/dev/null';

/** What is tried before: commands that must succeed. */
const checks: Readonly<Record<HostFaultKind, readonly (readonly string[])[]>> = {
  connectHang: [['setpriv', '--pdeathsig', 'KILL', 'true']],
  partition: [
    [...NAMESPACE, 'nsenter', '--version'],
    [...NAMESPACE, 'ip', 'link', 'set', 'lo', 'up'],
    [...NAMESPACE, 'env', OUR_LOCK, 'iptables', '-S'],
  ],
  fullDisk: [
    [...NAMESPACE, 'nsenter', '--version'],
    [...NAMESPACE, 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', '/mnt'],
  ],
  descriptors: [['prlimit', '--pid', String(process.pid), '--nofile']],
  // A library is compiled, and seen to move a clock, instead.
  clock: [],
};

/**
 * Finds out, before anything is broken, whether a fault can be had here.
 * @param program for `clock`: the program whose clock is to move, a file or a name on PATH.
 * @throws InvalidOptionError
 */
export async function planHostFault(kind: HostFaultKind, program?: string): Promise<HostPlan> {
  if (!Object.hasOwn(checks, kind)) {
    const permitted = `one of ${Object.keys(checks).join(', ')}`;
    throw new InvalidOptionError('planHostFault', 'kind', kind, permitted);
  }
  if (process.platform !== 'linux') return { available: false, reason: 'it takes Linux' };
  for (const command of checks[kind]) {
    try {
      await run(command);
    } catch (error) {
      return {
        available: false,
        reason: isHoldfastError(error) ? error.message : String(error),
      };
    }
  }
  return kind === 'clock' ? planClock(program) : { available: true };
}

/** @throws HostFaultUnavailableError with the reason, InvalidOptionError */
export async function requireHostFault(kind: HostFaultKind, program?: string): Promise<void> {
  const plan = await planHostFault(kind, program);
  if (!plan.available) throw new HostFaultUnavailableError(kind, plan.reason);
}

async function planClock(program: string | undefined): Promise<HostPlan> {
  const obstacle = program === undefined ? undefined : await preloadObstacle(program);
  if (obstacle !== undefined) return { available: false, reason: obstacle };
  const library = await clockLibrary();
  return 'reason' in library ? { available: false, reason: library.reason } : { available: true };
}
