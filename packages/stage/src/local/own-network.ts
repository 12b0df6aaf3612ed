import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Server, Socket, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Check, HAS_NSENTER, HAS_UNSHARE, commandFailure, firstObstacle } from '../command.ts';
import { orAbort } from '../deadline.ts';
import { StageCannotError } from '../errors.ts';
import { networkPackets } from '../packets.ts';
import type { NetworkControl, PacketControl } from '../resources.ts';
import type { Address, Program } from '../server-kind.ts';
import { compileCache } from './compile-cache.ts';

/**
 * A network of its own for one process, as a container has. What comes to the server's address on this
 * machine is carried in there, where the server listens at the same one.
 */
export interface OwnNetwork extends NetworkControl {
  readonly packets: PacketControl;
  /** How a program is started in there. */
  enter(program: Program, args: readonly string[]): { program: Program; args: readonly string[] };
  discard(): Promise<void>;
}

/** What is tried before anything stands. */
const CHECKS: readonly Check[] = [
  HAS_NSENTER,
  HAS_UNSHARE,
  { command: ['ip', '-V'], wayOut: `Install it: 'apt-get install iproute2'` },
  { command: ['unshare', '--net', 'ip', 'link', 'set', 'lo', 'up'], wayOut: 'Run as root' },
];
const OTHERWISE = `or leave out 'serverNetworks'`;

/**
 * Why a server cannot have a network of its own here, and what to do about it; tried where nobody is.
 * @param failureOf runs a command and says how it failed.
 */
export async function ownNetworkObstacle(
  signal?: AbortSignal,
  failureOf?: typeof commandFailure,
): Promise<{ why: string; wayOut: string } | undefined> {
  if (process.platform !== 'linux') return { why: 'it takes Linux', wayOut: `Use mode 'docker'` };
  return firstObstacle(CHECKS, signal, failureOf);
}

/** @throws StageCannotError where this machine cannot */
export async function createOwnNetwork(
  name: string,
  address: Address,
  limit: AbortSignal,
): Promise<OwnNetwork> {
  const cannot = (why: string, wayOut: string): StageCannotError =>
    new StageCannotError(name, 'give it a network of its own', why, `${wayOut}, ${OTHERWISE}`);
  const obstacle = await ownNetworkObstacle(limit);
  if (obstacle !== undefined) throw cannot(obstacle.why, obstacle.wayOut);
  // It holds the network for as long as its input is open, which is at most as long as this process.
  const script = 'ip link set lo up && echo ready && exec cat';
  const holder = spawn('unshare', ['--net', 'sh', '-c', script], {
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // Somebody else may end it; its network stays for as long as the server is in there.
  holder.stdin.on('error', () => undefined);
  const held = once(holder, 'exit');
  await orAbort(Promise.race([once(holder.stdout, 'data'), held]), limit);
  if (holder.exitCode !== null)
    throw cannot(`'unshare' ended with ${holder.exitCode}`, 'Run as root');
  const inside = `--net=/proc/${holder.pid}/ns/net`;
  letGo(holder);
  const carrier = await startCarrier(inside, address, limit).catch((error: unknown) => {
    holder.stdin.end();
    throw error;
  });

  const setDevice = async (state: 'up' | 'down', signal: AbortSignal): Promise<void> => {
    const args = [inside, 'ip', 'link', 'set', 'lo', state];
    const why = await commandFailure('nsenter', args, signal);
    if (why !== undefined) {
      throw new StageCannotError(name, `put its network ${state}`, why, 'Run as root');
    }
  };
  return {
    packets: networkPackets(name, {
      processId: () => Promise.resolve(holder.pid ?? 0),
      // Everything goes by it, what clients send and what they get.
      isStruck: (device) => device === 'lo',
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
      await carrier.carry(signal);
    },
    async discard() {
      holder.stdin.end();
      await Promise.all([held, carrier.end()]);
    },
  };
}

/** Listens on this machine and dials in there: a process has sockets of the network it was made in. */
interface Carrier {
  /** From now on what comes to the address is carried. */
  carry(signal: AbortSignal): Promise<void>;
  /** Resets what is carried, and has what comes refused. */
  cut(signal: AbortSignal): Promise<void>;
  end(): Promise<void>;
}

async function startCarrier(
  inside: string,
  { host, port }: Address,
  limit: AbortSignal,
): Promise<Carrier> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`./carrier-main${extension}`, import.meta.url));
  const child = spawn('nsenter', [inside, process.execPath, script, host, String(port)], {
    detached: true,
    env: compileCache(process.env),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  letGo(child);
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
    await orAbort(Promise.race([done, lost]), signal);
  };
  const carrier: Carrier = {
    async carry(signal) {
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
  await carrier.carry(limit);
  return carrier;
}

/** This process may end before it: it then ends as well. */
function letGo(child: ChildProcess): void {
  child.unref();
  child.channel?.unref();
  for (const stream of child.stdio) if (stream instanceof Socket) stream.unref();
}
