import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { integer, oneOf, optional, readOptions } from '@holdfast/resilience';
import { HostCommandError, run } from './command.ts';
import { NAMESPACE, requireHostFault } from './plan.ts';

export interface SandboxOptions {
  /** The size of the disk that is mounted at `directory`, in memory. Default: none. */
  diskMaxBytes?: number;
}

export interface PartitionOptions {
  /** The port of the server that is cut off. */
  port: number;
  /** Whose packets are lost. Default `both`. */
  direction?: 'both' | 'toServer' | 'toClient';
  /** What becomes of them: silence, RST, or "no route to host" for new connections. Default `drop`. */
  kind?: 'drop' | 'reset' | 'unreachable';
}

/**
 * A network and a disk of their own for the processes in it, in a namespace that takes no root. Nothing
 * outside it is changed, and all of it is gone with it.
 */
export interface Sandbox {
  /** Where its disk is, seen from inside. */
  readonly directory: string;
  /** Starts a process inside; it is killed when the sandbox closes. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Cuts a server off inside; what it returns joins it again. @throws HostCommandError */
  partition(options: PartitionOptions): Promise<() => Promise<void>>;
  /** Takes all that is left of the disk; what it returns gives it back. @throws HostCommandError */
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
const verdicts = {
  drop: ['-j', 'DROP'],
  reset: ['-j', 'REJECT', '--reject-with', 'tcp-reset'],
  unreachable: ['-j', 'REJECT', '--reject-with', 'icmp-host-unreachable'],
} as const;

/** @throws InvalidOptionError, HostFaultUnavailableError with the reason, HostCommandError */
export async function openSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const { diskMaxBytes } = readOptions('openSandbox', shape, options);
  await requireHostFault(diskMaxBytes === undefined ? 'partition' : 'fullDisk');
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-sandbox-'));
  const mount =
    diskMaxBytes === undefined ? '' : `mount -t tmpfs -o size=${diskMaxBytes} tmpfs "$0" && `;
  // It lives for as long as its input is open, which is at most as long as this process.
  const script = `ip link set lo up && ${mount}echo ready && exec cat`;
  const [program, ...flags] = NAMESPACE;
  const init = spawn(
    program,
    [...flags, '--propagation', 'private', 'sh', '-c', script, directory],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  const children = new Set<ChildProcess>();
  const ended = once(init, 'exit');
  const inside = ['nsenter', '-t', String(init.pid), '-U', '-n', '-m', '--preserve-credentials'];
  const command = (...args: readonly string[]): Promise<string> => run([...inside, ...args]);

  let closing: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    const gone = [...children].map((child) => once(child, 'exit'));
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(gone);
    init.stdin.end();
    await ended;
    await rm(directory, { recursive: true, force: true });
  };
  const close = (): Promise<void> => (closing ??= closeAll());

  let said = '';
  init.stderr.on('data', (bytes) => (said = `${said}${bytes}`.slice(0, 1_000)));
  await Promise.race([once(init.stdout, 'data'), ended]);
  if (init.exitCode !== null) {
    await close();
    throw new HostCommandError(init.spawnargs, said.trim(), undefined);
  }

  return {
    directory,
    spawn(name, args, given = {}) {
      const [nsenter = '', ...entering] = inside;
      const child = spawn(nsenter, [...entering, name, ...args], given);
      children.add(child);
      child.once('exit', () => children.delete(child));
      return child;
    },
    async partition(given) {
      const { port, direction, kind } = readOptions('partition', partitionShape, given);
      // One that was opened for its disk stands where no packet can be stopped.
      if (diskMaxBytes !== undefined) await requireHostFault('partition');
      const ends = { both: ['--dport', '--sport'], toServer: ['--dport'], toClient: ['--sport'] };
      const rules = ends[direction].map((end) =>
        ['INPUT', '-p', 'tcp', end, String(port)].concat(verdicts[kind]),
      );
      const change = async (verb: '-I' | '-D'): Promise<void> => {
        for (const rule of rules) {
          await command('env', 'XTABLES_LOCKFILE=/dev/null', 'iptables', verb, ...rule);
        }
      };
      await change('-I');
      return () => change('-D');
    },
    async fillDisk() {
      const ballast = join(directory, 'ballast');
      // It ends by a disk that is full, which is what is wanted of it.
      await command('sh', '-c', 'cat /dev/zero > "$0" 2>/dev/null; true', ballast);
      return async () => void (await command('rm', '-f', ballast));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
