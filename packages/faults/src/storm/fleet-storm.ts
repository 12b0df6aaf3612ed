import {
  type Clock,
  derivedSeed,
  integer,
  InvalidOptionError,
  parseOptions,
  type OptionRule,
  seededRandom,
  sleep,
} from '@holdfast/foundation';
import type { ProxyFaultKind, ProxyFaultSpec } from '../proxy/fault-kinds.ts';
import type { FaultProxy } from '../proxy/fault-proxy.ts';
import { randomFault } from './random-fault.ts';
import { type Schedule, type TimedFault, drawn, inOrder, overlap } from './schedule.ts';
import { kindsRule, playShape, seedRule } from './storm.ts';

/** The operations a storm needs of a server; a server of `@holdfast/stage` has them. */
export interface FleetServer {
  /** The proxy in front of the server. */
  readonly link: Pick<FaultProxy, 'faults' | 'heal'>;
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/** A fault of a server's link, or of the server itself. */
export type FleetServerFault =
  | ProxyFaultSpec
  /** Killed, and started again when the fault is over. */
  | { readonly kind: 'kill' }
  /** Frozen with its connections open. */
  | { readonly kind: 'freeze' };

/** A fault of a storm over several servers: when, on which, and what. */
export interface FleetFault extends TimedFault {
  readonly server: string;
  readonly fault: FleetServerFault;
}

/** A storm over several servers. On one server, faults of one kind do not overlap, nor do kill and freeze. */
export type FleetStorm = Schedule<FleetFault>;

/** Options of `fleetStorm`. All times in milliseconds. */
export interface FleetStormOptions {
  /** The names of the servers. */
  servers: readonly string[];
  /** How long it lasts. Default 10 000. */
  durationMs?: number;
  /** The maximum number of faults. Default 10. */
  maxFaults?: number;
  /** The maximum duration of one fault. Default 2 000. */
  maxFaultMs?: number;
  /** The kinds to draw from for links. Default: every kind but `corrupt`, which TCP does not detect. */
  kinds?: readonly ProxyFaultKind[];
  /** The faults to draw from for servers, as often as for links. Default `kill`, `freeze`. */
  serverFaults?: readonly ('kill' | 'freeze')[];
}

const namesRule: OptionRule<readonly string[]> = {
  permitted: 'a list of names, each once',
  parse(value, field, owner) {
    if (!isNames(value)) {
      throw new InvalidOptionError(owner, field, value, 'a list of names, each once');
    }
    return value;
  },
};
const serverFaultsRule: OptionRule<readonly ('kill' | 'freeze')[]> = {
  permitted: 'a list of kill, freeze',
  parse(value, field, owner) {
    if (!areServerFaults(value))
      throw new InvalidOptionError(owner, field, value, 'a list of kill, freeze');
    return value;
  },
  defaultValue: () => ['kill', 'freeze'],
};

const shape = {
  servers: namesRule,
  durationMs: integer({ min: 1, max: 86_400_000, default: 10_000 }),
  maxFaults: integer({ min: 1, max: 1_000, default: 10 }),
  maxFaultMs: integer({ min: 1, max: 86_400_000, default: 2_000 }),
  kinds: kindsRule,
  serverFaults: serverFaultsRule,
};
/**
 * Draws a storm over several servers; equal seeds and options give equal storms.
 * @param seed any integer; its lower 32 bits are used.
 * @throws InvalidOptionError
 */
export function fleetStorm(seed: number, options: FleetStormOptions): FleetStorm {
  seedRule.parse(seed, 'seed', 'fleetStorm');
  const read = parseOptions('fleetStorm', shape, options);
  const { servers, durationMs, maxFaults, maxFaultMs, kinds, serverFaults } = read;
  const faults: FleetFault[] = [];
  for (let index = 0; index < maxFaults; index += 1) {
    const random = seededRandom(derivedSeed(seed, index));
    const one = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
    const server = one(servers);
    const serverFault = random() < 0.5 ? one(serverFaults) : undefined;
    const kind = one(kinds);
    const atMs = Math.floor(random() * durationMs);
    const forMs = Math.max(1, Math.floor(random() * Math.min(maxFaultMs, durationMs - atMs)));
    if (server === undefined || kind === undefined) continue;
    const fault = serverFault === undefined ? randomFault(kind, random) : { kind: serverFault };
    const timed: FleetFault = { atMs, forMs, server, fault };
    if (!faults.some((other) => collide(timed, other))) faults.push(timed);
  }
  const call = { name: 'fleetStorm', options: read };
  return drawn({ seed, durationMs, faults: inOrder(faults) }, call);
}

/**
 * Runs a storm on servers and resolves when it is over, all servers run, and their links are healed. Healing is tried in
 * any case.
 * @param servers by the names in the storm.
 * @throws InvalidOptionError for an unknown server, the signal's reason, or the error of a server's operation.
 */
export async function playFleetStorm(
  servers: Readonly<Record<string, FleetServer>>,
  { durationMs, faults }: FleetStorm,
  options?: { clock?: Clock; signal?: AbortSignal },
): Promise<void> {
  const { clock, signal } = parseOptions('playFleetStorm', playShape, options);
  const unknown = faults.find(({ server }) => !Object.hasOwn(servers, server))?.server;
  if (unknown !== undefined) {
    const permitted = `one of ${Object.keys(servers).join(', ')}`;
    throw new InvalidOptionError('playFleetStorm', 'server', unknown, permitted);
  }
  const beganMs = clock.now();
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const until = (atMs: number): Promise<void> =>
    sleep(clock, Math.max(0, beganMs + atMs - clock.now()), stop);

  const played = await Promise.allSettled(
    Object.entries(servers).map(async ([name, server]) => {
      const own = faults.filter((fault) => fault.server === name);
      try {
        await playOn(server, own, until, failed);
        await until(durationMs);
      } finally {
        await server.link.heal();
      }
    }),
  );
  signal?.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  const broken = played.find((one) => one.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
}

/** Injects and ends the faults of one server, each at its time. */
async function playOn(
  server: FleetServer,
  faults: readonly FleetFault[],
  until: (atMs: number) => Promise<void>,
  failed: AbortController,
): Promise<void> {
  const steps = inOrder(
    faults.flatMap(({ atMs, forMs, fault }) => [
      { atMs, fault, isEnd: false },
      { atMs: atMs + forMs, fault, isEnd: true },
    ]),
  );
  let undo: (() => Promise<void>) | undefined;
  try {
    for (const { atMs, fault, isEnd } of steps) {
      await until(atMs);
      if (fault.kind !== 'kill' && fault.kind !== 'freeze') {
        if (isEnd) await server.link.faults.clear(fault.kind);
        else server.link.faults.apply(fault);
      } else if (isEnd) {
        await undo?.();
        undo = undefined;
      } else {
        undo = await inject(server, fault.kind);
      }
    }
  } catch (error) {
    failed.abort(error);
    throw error;
  } finally {
    await undo?.();
  }
}

async function inject(server: FleetServer, kind: 'kill' | 'freeze'): Promise<() => Promise<void>> {
  if (kind === 'freeze') {
    await server.freeze();
    return () => server.thaw();
  }
  await server.kill();
  return () => server.start();
}

function collide(one: FleetFault, other: FleetFault): boolean {
  const isOfServer = ({ fault }: FleetFault): boolean =>
    fault.kind === 'kill' || fault.kind === 'freeze';
  const areAlike = one.fault.kind === other.fault.kind || (isOfServer(one) && isOfServer(other));
  return one.server === other.server && areAlike && overlap(one, other);
}

function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && name !== '') &&
    new Set(value).size === value.length
  );
}

function areServerFaults(value: unknown): value is readonly ('kill' | 'freeze')[] {
  return Array.isArray(value) && value.every((kind) => kind === 'kill' || kind === 'freeze');
}
