import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Server, Socket, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  type CommandCheck,
  HAS_NSENTER,
  HAS_UNSHARE,
  commandFailure,
  firstFailedCheck,
} from '../../system/command.ts';
import { abortable } from '@holdfast/foundation';
import { FaultUnsupportedError } from '../../errors.ts';
import { createPacketControl } from '../../limits/packets.ts';
import type { NetworkControl, PacketControl } from '../../limits/server-limits.ts';
import type { Address, Executable } from '../../topology/server-spec.ts';
import { compileCache } from '../../system/compile-cache.ts';

/**
 * A network of its own for one process, as a container has. What comes to the server's address on this
 * machine is carried in there, where the server listens at the same one.
 */
export interface NetworkNamespace extends NetworkControl {
  readonly packets: PacketControl;
  /** How a program is started in there. */
  enter(
    program: Executable,
    args: readonly string[],
  ): { program: Executable; args: readonly string[] };
  cleanUp(): Promise<void>;
}

/** What is tried before anything stands. */
const CHECKS: readonly CommandCheck[] = [
  HAS_NSENTER,
  HAS_UNSHARE,
  { command: ['ip', '-V'], remedy: `Install it: 'apt-get install iproute2'` },
  { command: ['unshare', '--net', 'ip', 'link', 'set', 'lo', 'up'], remedy: 'Run as root' },
];
const ALTERNATIVE = `or leave out 'serverNetworks'`;

/**
 * Why a server cannot have a network of its own here, and what to do about it; tried where nobody is.
 * @param failureOf runs a command and says how it failed.
 */
export async function checkNetworkNamespace(
  signal?: AbortSignal,
  failureOf?: typeof commandFailure,
): Promise<{ reason: string; remedy: string } | undefined> {
  if (process.platform !== 'linux')
    return { reason: 'it takes Linux', remedy: `Use mode 'docker'` };
  return firstFailedCheck(CHECKS, signal, failureOf);
}

/** @throws FaultUnsupportedError where this machine cannot */
export async function createNetworkNamespace(
  name: string,
  address: Address,
  limit: AbortSignal,
): Promise<NetworkNamespace> {
  const cannot = (reason: string, remedy: string): FaultUnsupportedError =>
    new FaultUnsupportedError(
      name,
      'give it a network of its own',
      reason,
      `${remedy}, ${ALTERNATIVE}`,
    );
  const obstacle = await checkNetworkNamespace(limit);
  if (obstacle !== undefined) throw cannot(obstacle.reason, obstacle.remedy);
  // It holds the network for as long as its input is open, which is at most as long as this process.
  const script = 'ip link set lo up && echo ready && exec cat';
  const holder = spawn('unshare', ['--net', 'sh', '-c', script], {
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // Somebody else may end it; its network stays for as long as the server is in there.
  holder.stdin.on('error', () => undefined);
  const held = once(holder, 'exit');
  await abortable(Promise.race([once(holder.stdout, 'data'), held]), limit);
  if (holder.exitCode !== null)
    throw cannot(`'unshare' ended with ${holder.exitCode}`, 'Run as root');
  const inside = `--net=/proc/${holder.pid}/ns/net`;
  unrefChild(holder);
  const carrier = await startPortForwarder(inside, address, limit).catch((error: unknown) => {
    holder.stdin.end();
    throw error;
  });

  const setDevice = async (state: 'up' | 'down', signal: AbortSignal): Promise<void> => {
    const args = [inside, 'ip', 'link', 'set', 'lo', state];
    const reason = await commandFailure('nsenter', args, signal);
    if (reason !== undefined) {
      throw new FaultUnsupportedError(name, `put its network ${state}`, reason, 'Run as root');
    }
  };
  return {
    packets: createPacketControl(name, {
      processId: () => Promise.resolve(holder.pid ?? 0),
      // Everything goes by it, what clients send and what they get.
      affects: (device) => device === 'lo',
    }),
    enter({ file, env, user }, args) {
      // In this order: who is not root may not enter.
      const as = user === undefined ? [] : [`--setgid=${user.gid}`, `--setuid=${user.uid}`];
      return { program: { file: 'nsenter', env }, args: [inside, ...as, file, ...args] };
    },
    async disconnect(signal) {
      await setDevice('down', signal);
      await carrier.cut(signal);
    },
    async connect(signal) {
      await setDevice('up', signal);
      await carrier.accept(signal);
    },
    async cleanUp() {
      holder.stdin.end();
      await Promise.all([held, carrier.end()]);
    },
  };
}

/** Listens on this machine and dials in there: a process has sockets of the network it was made in. */
interface PortForwarder {
  /** From now on what comes to the address is carried. */
  accept(signal: AbortSignal): Promise<void>;
  /** Resets what is carried, and has what comes refused. */
  cut(signal: AbortSignal): Promise<void>;
  end(): Promise<void>;
}

async function startPortForwarder(
  inside: string,
  { host, port }: Address,
  limit: AbortSignal,
): Promise<PortForwarder> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`./port-forwarder-main${extension}`, import.meta.url));
  const child = spawn('nsenter', [inside, process.execPath, script, host, String(port)], {
    detached: true,
    env: compileCache(process.env),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  unrefChild(child);
  const ended = once(child, 'exit').then(() => undefined);
  // What cannot be sent is noticed by the end of whom it was for.
  child.on('error', () => undefined);
  const tell = async (
    word: 'carry' | 'cut',
    signal: AbortSignal,
    listening?: Server,
  ): Promise<void> => {
    const done = once(child, 'message');
    child.send(word, listening);
    const lost = ended.then(() => {
      throw new Error(`who carries what comes to ${host}:${port} has ended`);
    });
    await abortable(Promise.race([done, lost]), signal);
  };
  const carrier: PortForwarder = {
    async accept(signal) {
      const listening = createServer().listen({ host, port, exclusive: true });
      await once(listening, 'listening', { signal });
      await tell('carry', signal, listening);
      listening.close();
    },
    cut: (signal) => tell('cut', signal),
    async end() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
  await carrier.accept(limit);
  return carrier;
}

/** This process may end before it: it then ends as well. */
function unrefChild(child: ChildProcess): void {
  child.unref();
  child.channel?.unref();
  for (const stream of child.stdio) if (stream instanceof Socket) stream.unref();
}
