import {
  type ChildProcess,
  type ChildProcessWithoutNullStreams,
  type SpawnOptions,
  spawn,
} from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { integer, oneOf, optional, parseOptions } from '@holdfast/foundation';
import { afterOwnEnd } from './after-own-end.ts';
import { HostCommandError, run } from './command.ts';
import {
  type HostFaultAvailability,
  HostFaultUnavailableError,
  NAMESPACE,
  NETWORK_NAMESPACE,
  OWN_LOCK,
  checkOwnNetwork,
  requireHostFault,
} from './host-capabilities.ts';

/** Options of `openSandbox`. */
export interface SandboxOptions {
  /** The size of the disk that is mounted at `directory`, in memory. Default: none. */
  diskMaxBytes?: number;
}

/** Options of a partition. */
export interface PartitionOptions {
  /** The port of the server to cut off. */
  port: number;
  /** The direction of the packets to drop. Default `both`. */
  direction?: 'both' | 'toServer' | 'toClient';
  /** What happens to them: silence, RST, or "no route to host" for new connections. Default `drop`. */
  kind?: 'drop' | 'reset' | 'unreachable';
}

/**
 * A network and a disk for the processes inside, in namespaces that need no root. Nothing outside is changed, and
 * closing removes everything. A sandbox with a disk uses the machine's network where it cannot have its own; then
 * `partition()` is refused.
 */
export interface Sandbox {
  /** The folder of its disk, seen from inside. */
  readonly directory: string;
  /** Starts a process inside; it is killed when the sandbox closes, or when this process ends in any way. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /**
   * Cuts a server off inside; returns a function that reconnects it.
   * @throws HostFaultUnavailableError with the reason, HostCommandError
   */
  partition(options: PartitionOptions): Promise<() => Promise<void>>;
  /**
   * Fills the disk; returns a function that frees it.
   * @throws HostFaultUnavailableError without a disk of its own, HostCommandError
   */
  fillDisk(): Promise<() => Promise<void>>;
  /** Kills every process inside. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const shape = { diskMaxBytes: optional(integer({ min: 65_536, max: 1_073_741_824 })) };
const partitionShape = {
  port: integer({ min: 1, max: 65_535 }),
  direction: oneOf(['both', 'toServer', 'toClient'], 'both'),
  kind: oneOf(['drop', 'reset', 'unreachable'], 'drop'),
};
const portMatches = {
  both: ['--dport', '--sport'],
  toServer: ['--dport'],
  toClient: ['--sport'],
} as const;
const targets = {
  drop: ['-j', 'DROP'],
  reset: ['-j', 'REJECT', '--reject-with', 'tcp-reset'],
  unreachable: ['-j', 'REJECT', '--reject-with', 'icmp-host-unreachable'],
} as const;

/**
 * A network and a disk of its own, to be cut and filled without root.
 * @throws InvalidOptionError, HostFaultUnavailableError with the reason, HostCommandError
 */
export async function openSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const { diskMaxBytes } = parseOptions('openSandbox', shape, options);
  await requireHostFault(diskMaxBytes === undefined ? 'partition' : 'fullDisk');
  const network = await checkOwnNetwork();
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-sandbox-'));
  const sandbox = new NamespaceSandbox(directory, diskMaxBytes, network);
  await sandbox.ready();
  return sandbox;
}

class NamespaceSandbox implements Sandbox {
  readonly directory: string;
  readonly #hasDisk: boolean;
  readonly #network: HostFaultAvailability;
  /** Keeps the namespaces until its input ends, at the latest with this process. */
  readonly #keeper: ChildProcessWithoutNullStreams;
  readonly #keeperExit: Promise<unknown>;
  /** The command that enters the namespaces. */
  readonly #enter: readonly string[];
  readonly #children = new Set<ChildProcess>();
  readonly #releaseDirectory: () => void;
  #errors = '';
  #closing: Promise<void> | undefined;

  constructor(directory: string, diskMaxBytes: number | undefined, network: HostFaultAvailability) {
    this.directory = directory;
    this.#hasDisk = diskMaxBytes !== undefined;
    this.#releaseDirectory = afterOwnEnd(['rm', '-rf', directory]);
    this.#network = network;
    const steps = [
      ...(network.available ? ['ip link set lo up'] : []),
      ...(diskMaxBytes === undefined ? [] : [`mount -t tmpfs -o size=${diskMaxBytes} tmpfs "$0"`]),
      'echo ready',
      'exec cat',
    ];
    const [program, ...flags] = network.available ? NETWORK_NAMESPACE : NAMESPACE;
    const script = ['sh', '-c', steps.join(' && '), directory];
    this.#keeper = spawn(program, [...flags, '--propagation', 'private', ...script]);
    this.#keeperExit = once(this.#keeper, 'exit');
    this.#keeper.stderr.on('data', (bytes) => {
      this.#errors = `${this.#errors}${bytes}`.slice(0, 1_000);
    });
    const namespaces = network.available ? ['-U', '-n', '-m'] : ['-U', '-m'];
    const target = ['-t', String(this.#keeper.pid)];
    this.#enter = ['nsenter', ...target, ...namespaces, '--preserve-credentials'];
  }

  /** Resolves when the namespaces exist. @throws HostCommandError */
  async ready(): Promise<void> {
    await Promise.race([once(this.#keeper.stdout, 'data'), this.#keeperExit]);
    if (this.#keeper.exitCode === null) return;
    await this.close();
    throw new HostCommandError(this.#keeper.spawnargs, this.#errors.trim(), undefined);
  }

  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [nsenter = '', ...flags] = this.#enter;
    const child = spawn(nsenter, [...flags, command, ...args], options);
    this.#children.add(child);
    const release = afterOwnEnd(['kill', '-KILL', String(child.pid)]);
    child.once('exit', () => {
      release();
      this.#children.delete(child);
    });
    return child;
  }

  async partition(options: PartitionOptions): Promise<() => Promise<void>> {
    const { port, direction, kind } = parseOptions('partition', partitionShape, options);
    // Without a disk this was checked when the sandbox was opened.
    if (this.#hasDisk) await requireHostFault('partition');
    if (!this.#network.available) throw new HostFaultUnavailableError('partition', this.#network);
    const rules = portMatches[direction].map((match) =>
      ['INPUT', '-p', 'tcp', match, String(port)].concat(targets[kind]),
    );
    const change = async (action: '-I' | '-D'): Promise<void> => {
      for (const rule of rules) await this.#run('env', OWN_LOCK, 'iptables', action, ...rule);
    };
    await change('-I');
    return () => change('-D');
  }

  async fillDisk(): Promise<() => Promise<void>> {
    if (!this.#hasDisk) {
      const reason = 'the sandbox has no disk of its own';
      throw new HostFaultUnavailableError('fullDisk', {
        reason,
        remedy: 'open it with diskMaxBytes',
      });
    }
    const ballast = join(this.directory, 'ballast');
    // The command ends because the disk is full, which is its purpose.
    await this.#run('sh', '-c', 'cat /dev/zero > "$0" 2>/dev/null; true', ballast);
    return async () => void (await this.#run('rm', '-f', ballast));
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const exits = [...this.#children].map((child) => once(child, 'exit'));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(exits);
    // It may be stopped, and would not see the end of its input.
    this.#keeper.kill('SIGKILL');
    await this.#keeperExit;
    await rm(this.directory, { recursive: true, force: true });
    this.#releaseDirectory();
  }

  #run(...command: readonly string[]): Promise<string> {
    return run([...this.#enter, ...command]);
  }
}
