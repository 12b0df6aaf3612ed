import { type ExecFileException, execFile } from 'node:child_process';
import { HoldfastError, InvalidOptionError, isHoldfastError } from '@holdfast/resilience';

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

/** The command failed; what it did before is undone by closing. */
export class HostCommandError extends HoldfastError {
  readonly code = 'HOST_COMMAND_FAILED';

  constructor(command: readonly string[], said: string, cause: unknown) {
    super(`${command.join(' ')} failed: ${said === '' ? 'see the cause' : said}`, {
      cause,
      outcome: 'unknown',
    });
  }
}

/** How a namespace of one's own is entered: an own network, own mounts, root in it and nowhere else. */
export const NAMESPACE = ['unshare', '-Urnm'] as const;
const OUR_LOCK = 'XTABLES_LOCKFILE=/dev/null';

const checks: Readonly<Record<HostFaultKind, readonly (readonly string[])[] | string>> = {
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
  clock:
    'the clock of a process that runs is moved by a preloaded library, which takes a C compiler that cannot be counted on; of a Node process it is moved by createResourceFaults',
};

/** Finds out, before anything is broken, whether a fault can be had here. @throws InvalidOptionError */
export async function planHostFault(kind: HostFaultKind): Promise<HostPlan> {
  if (!Object.hasOwn(checks, kind)) {
    const permitted = `one of ${Object.keys(checks).join(', ')}`;
    throw new InvalidOptionError('planHostFault', 'kind', kind, permitted);
  }
  const needed = checks[kind];
  if (typeof needed === 'string') return { available: false, reason: needed };
  if (process.platform !== 'linux') return { available: false, reason: 'it takes Linux' };
  for (const command of needed) {
    try {
      await run(command);
    } catch (error) {
      return {
        available: false,
        reason: isHoldfastError(error) ? error.message : String(error),
      };
    }
  }
  return { available: true };
}

/** @throws HostFaultUnavailableError with the reason, InvalidOptionError */
export async function requireHostFault(kind: HostFaultKind): Promise<void> {
  const plan = await planHostFault(kind);
  if (!plan.available) throw new HostFaultUnavailableError(kind, plan.reason);
}

/** Runs a command; what it printed. @throws HostCommandError */
export function run(command: readonly string[]): Promise<string> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const done = (failure: ExecFileException | null, out: string, said: string): void => {
      if (failure === null) resolve(out);
      else reject(new HostCommandError(command, said.trim(), failure));
    };
    execFile(program, args, { encoding: 'utf8' }, done);
  });
}
