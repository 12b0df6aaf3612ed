import { tmpdir } from 'node:os';
import { HoldfastError, InvalidOptionError, isHoldfastError } from '@holdfast/foundation';
import { clockLibrary, findOnPath } from './clock-library.ts';
import { run } from './command.ts';
import { reasonAgainstPreload } from './preload-check.ts';

/** Faults of the machine itself, none of which needs root. */
export type HostFaultKind = 'connectHang' | 'partition' | 'fullDisk' | 'descriptors' | 'clock';

/** Whether a fault is available on this machine; if not, why, and what to do. */
export type HostFaultAvailability = { readonly available: true } | Unavailable;

interface Unavailable {
  readonly available: false;
  readonly reason: string;
  readonly remedy: string;
}

/** The fault is not available on this machine; nothing was started. */
export class HostFaultUnavailableError extends HoldfastError {
  readonly code = 'FAULTS_HOST_FAULT_UNAVAILABLE';
  readonly kind: HostFaultKind;

  constructor(kind: HostFaultKind, { reason, remedy }: Omit<Unavailable, 'available'>) {
    super(`${kind} is not available on this machine: ${reason}; ${remedy}`, {
      outcome: 'not-applied',
    });
    this.kind = kind;
  }
}

/** What a fault needs. */
interface Requirements {
  /** Programs on PATH. */
  readonly programs: readonly (keyof typeof PACKAGES)[];
  /** Commands that must succeed. */
  readonly commands: readonly (readonly string[])[];
}

/** The optional programs and their packages in Debian and Ubuntu. */
const PACKAGES = {
  ip: 'iproute2',
  iptables: 'iptables',
  mount: 'mount',
  nsenter: 'util-linux',
  prlimit: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
} as const;
/** Starts a command in a namespace with its own mounts, as root there and nowhere else. */
export const NAMESPACE = ['unshare', '-Urm'] as const;
/** The same with a network of its own. */
export const NETWORK_NAMESPACE = ['unshare', '-Urnm'] as const;
/** Lets iptables run without the lock file of the machine. */
export const OWN_LOCK = 'XTABLES_LOCKFILE=/dev/null';

const OWN_NETWORK: Requirements = {
  programs: ['unshare', 'nsenter', 'ip'],
  commands: [[...NETWORK_NAMESPACE, 'ip', 'link', 'set', 'lo', 'up']],
};
const requirements: Readonly<Record<HostFaultKind, Requirements>> = {
  connectHang: { programs: ['setpriv'], commands: [['setpriv', '--pdeathsig', 'KILL', 'true']] },
  partition: {
    programs: [...OWN_NETWORK.programs, 'iptables'],
    commands: [...OWN_NETWORK.commands, [...NETWORK_NAMESPACE, 'env', OWN_LOCK, 'iptables', '-S']],
  },
  fullDisk: {
    programs: ['unshare', 'nsenter', 'mount'],
    commands: [[...NAMESPACE, 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', tmpdir()]],
  },
  descriptors: {
    programs: ['prlimit'],
    commands: [['prlimit', '--pid', String(process.pid), '--nofile']],
  },
  // The check compiles a library and lets it move a clock instead.
  clock: { programs: [], commands: [] },
};

/**
 * Checks whether a fault is available on this machine, before anything is changed.
 * @param program for `clock`: the program whose clock is to move, a file or a name on PATH.
 * @throws InvalidOptionError
 */
export async function checkHostFault(
  kind: HostFaultKind,
  program?: string,
): Promise<HostFaultAvailability> {
  if (!Object.hasOwn(requirements, kind)) {
    const permitted = `one of ${Object.keys(requirements).join(', ')}`;
    throw new InvalidOptionError('checkHostFault', 'kind', kind, permitted);
  }
  const availability = await checkRequirements(requirements[kind]);
  return availability.available && kind === 'clock' ? checkClock(program) : availability;
}

/** Checks whether a sandbox can have a network of its own. */
export function checkOwnNetwork(): Promise<HostFaultAvailability> {
  return checkRequirements(OWN_NETWORK);
}

async function checkRequirements({
  programs,
  commands,
}: Requirements): Promise<HostFaultAvailability> {
  if (process.platform !== 'linux') return unavailable('it takes Linux', 'run it there');
  const missing: (keyof typeof PACKAGES)[] = [];
  for (const name of programs) if ((await findOnPath(name)) === undefined) missing.push(name);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => PACKAGES[name]))].join(' ');
    return unavailable(
      `no ${missing.join(', ')} on PATH`,
      `install what is missing ('apt-get install ${packages}' on Debian and Ubuntu)`,
    );
  }
  for (const command of commands) {
    try {
      await run(command);
    } catch (error) {
      const reason = isHoldfastError(error) ? error.message : String(error);
      return unavailable(reason, 'allow it to this user, or run as root');
    }
  }
  return { available: true };
}

/** @throws HostFaultUnavailableError with the reason, InvalidOptionError */
export async function requireHostFault(kind: HostFaultKind, program?: string): Promise<void> {
  const availability = await checkHostFault(kind, program);
  if (!availability.available) throw new HostFaultUnavailableError(kind, availability);
}

async function checkClock(program: string | undefined): Promise<HostFaultAvailability> {
  const reason = program === undefined ? undefined : await reasonAgainstPreload(program);
  if (reason !== undefined)
    return unavailable(reason, 'use an installed, dynamically linked program that keeps its user');
  const library = await clockLibrary();
  return library.available ? { available: true } : library;
}

function unavailable(reason: string, remedy: string): Unavailable {
  return { available: false, reason, remedy };
}
