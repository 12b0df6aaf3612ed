import { tmpdir } from 'node:os';
import { HoldfastError, InvalidOptionError, isHoldfastError } from '@holdfast/foundation';
import { clockLibrary, findOnPath } from './clock-library.ts';
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
  readonly code = 'FAULTS_HOST_FAULT_UNAVAILABLE';
  readonly kind: HostFaultKind;

  constructor(kind: HostFaultKind, reason: string) {
    super(`${kind} cannot be had on this machine: ${reason}`, { outcome: 'not-applied' });
    this.kind = kind;
  }
}

/** What a fault takes. */
interface Demand {
  /** Programs on PATH. */
  readonly programs: readonly (keyof typeof PACKAGES)[];
  /** Commands that are tried, and must succeed. */
  readonly commands: readonly (readonly string[])[];
}

/** The optional programs, and what Debian and Ubuntu call the package of each. */
const PACKAGES = {
  ip: 'iproute2',
  iptables: 'iptables',
  mount: 'mount',
  nsenter: 'util-linux',
  prlimit: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
} as const;
/** How namespaces of one's own are entered: own mounts, root in there and nowhere else. */
export const NAMESPACE = ['unshare', '-Urm'] as const;
/** The same with an own network. */
export const NETWORK_NAMESPACE = ['unshare', '-Urnm'] as const;
const OUR_LOCK = 'XTABLES_LOCKFILE=/dev/null';

const OWN_NETWORK: Demand = {
  programs: ['unshare', 'nsenter', 'ip'],
  commands: [[...NETWORK_NAMESPACE, 'ip', 'link', 'set', 'lo', 'up']],
};
const demands: Readonly<Record<HostFaultKind, Demand>> = {
  connectHang: { programs: ['setpriv'], commands: [['setpriv', '--pdeathsig', 'KILL', 'true']] },
  partition: {
    programs: [...OWN_NETWORK.programs, 'iptables'],
    commands: [...OWN_NETWORK.commands, [...NETWORK_NAMESPACE, 'env', OUR_LOCK, 'iptables', '-S']],
  },
  fullDisk: {
    programs: ['unshare', 'nsenter', 'mount'],
    commands: [[...NAMESPACE, 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', tmpdir()]],
  },
  descriptors: {
    programs: ['prlimit'],
    commands: [['prlimit', '--pid', String(process.pid), '--nofile']],
  },
  // A library is compiled, and seen to move a clock, instead.
  clock: { programs: [], commands: [] },
};

/**
 * Finds out, before anything is broken, whether a fault can be had here.
 * @param program for `clock`: the program whose clock is to move, a file or a name on PATH.
 * @throws InvalidOptionError
 */
export async function planHostFault(kind: HostFaultKind, program?: string): Promise<HostPlan> {
  if (!Object.hasOwn(demands, kind)) {
    const permitted = `one of ${Object.keys(demands).join(', ')}`;
    throw new InvalidOptionError('planHostFault', 'kind', kind, permitted);
  }
  const reason = await obstacleTo(demands[kind]);
  if (reason !== undefined) return { available: false, reason };
  return kind === 'clock' ? planClock(program) : { available: true };
}

/** Why a sandbox cannot have a network of its own here; `undefined` when it can. */
export function ownNetworkObstacle(): Promise<string | undefined> {
  return obstacleTo(OWN_NETWORK);
}

async function obstacleTo({ programs, commands }: Demand): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it takes Linux';
  const missing: (keyof typeof PACKAGES)[] = [];
  for (const name of programs) if ((await findOnPath(name)) === undefined) missing.push(name);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => PACKAGES[name]))].join(' ');
    return `no ${missing.join(', ')} on PATH; install what is missing ('apt-get install ${packages}' on Debian and Ubuntu)`;
  }
  for (const command of commands) {
    try {
      await run(command);
    } catch (error) {
      return isHoldfastError(error) ? error.message : String(error);
    }
  }
  return undefined;
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
