import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { abortable } from '@holdfast/foundation';
import { FaultUnsupportedError } from '../../errors.ts';
import { createPacketControl } from '../../limits/packets.ts';
import type { NetworkControl, PacketControl } from '../../limits/server-limits.ts';
import type { Availability } from '../../system/availability.ts';
import {
  type CommandCheck,
  HAS_NSENTER,
  HAS_UNSHARE,
  commandFailure,
  runChecks,
} from '../../system/command.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Executable } from '../../system/executable.ts';
import { startPortForwarder, unrefChild } from './port-forwarder.ts';

/**
 * A network for one process, as a container has. Connections to the server's endpoint on this machine are
 * forwarded into it, where the server listens at the same endpoint.
 */
interface NetworkNamespace extends NetworkControl {
  readonly packets: PacketControl;
  /** The command that runs an executable in this network. */
  enter(
    executable: Executable,
    args: readonly string[],
  ): { executable: Executable; args: readonly string[] };
  cleanUp(): Promise<void>;
}

const CHECKS: readonly CommandCheck[] = [
  HAS_NSENTER,
  HAS_UNSHARE,
  { command: ['ip', '-V'], remedy: `Install it: 'apt-get install iproute2'` },
  { command: ['unshare', '--net', 'ip', 'link', 'set', 'lo', 'up'], remedy: 'Run as root' },
];

/**
 * Whether a server can have its own network on this machine, found out by creating one.
 * @param failureOf runs a command and resolves with its failure.
 */
export async function checkNetworkNamespace(
  signal?: AbortSignal,
  failureOf?: typeof commandFailure,
): Promise<Availability> {
  if (process.platform !== 'linux') {
    return { available: false, reason: 'it requires Linux', remedy: `Use mode 'docker'` };
  }
  return runChecks(CHECKS, signal, failureOf);
}

/** @throws FaultUnsupportedError when this machine does not support it */
export async function createNetworkNamespace(
  name: string,
  endpoint: Endpoint,
  limit: AbortSignal,
): Promise<NetworkNamespace> {
  const unsupported = (reason: string, remedy: string): FaultUnsupportedError =>
    new FaultUnsupportedError(
      name,
      'give it a network of its own',
      reason,
      `${remedy}, or leave out 'serverNetworks'`,
    );
  const support = await checkNetworkNamespace(limit);
  if (!support.available) throw unsupported(support.reason, support.remedy);
  // It keeps the network while its input is open, which ends with this process at the latest.
  const script = 'ip link set lo up && echo ready && exec cat';
  const holder = spawn('unshare', ['--net', 'sh', '-c', script], {
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // Another process may kill it; the network exists for as long as the server is in it.
  holder.stdin.on('error', () => undefined);
  const ended = once(holder, 'exit');
  await abortable(Promise.race([once(holder.stdout, 'data'), ended]), limit);
  if (holder.exitCode !== null) {
    throw unsupported(`'unshare' ended with ${holder.exitCode}`, 'Run as root');
  }
  const inside = `--net=/proc/${holder.pid}/ns/net`;
  unrefChild(holder);
  const forwarder = await startPortForwarder(inside, endpoint, limit).catch((error: unknown) => {
    holder.kill('SIGKILL');
    throw error;
  });

  const setDevice = async (state: 'up' | 'down', signal: AbortSignal): Promise<void> => {
    const args = [inside, 'ip', 'link', 'set', 'lo', state];
    const reason = await commandFailure('nsenter', args, signal);
    if (reason === undefined) return;
    throw new FaultUnsupportedError(name, `put its network ${state}`, reason, 'Run as root');
  };
  return {
    packets: createPacketControl(name, {
      processId: () => Promise.resolve(holder.pid ?? 0),
      // The only device: it carries requests and responses.
      affects: (device) => device === 'lo',
    }),
    enter({ file, env, user }, args) {
      // In this order, because only root may enter the network.
      const ids = user === undefined ? [] : [`--setgid=${user.gid}`, `--setuid=${user.uid}`];
      return { executable: { file: 'nsenter', env }, args: [inside, ...ids, file, ...args] };
    },
    async disconnect(signal) {
      await setDevice('down', signal);
      await forwarder.cut(signal);
    },
    async connect(signal) {
      await setDevice('up', signal);
      await forwarder.listen(signal);
    },
    async cleanUp() {
      // Not asked to end: it may be suspended.
      holder.kill('SIGKILL');
      await Promise.all([ended, forwarder.end()]);
    },
  };
}
