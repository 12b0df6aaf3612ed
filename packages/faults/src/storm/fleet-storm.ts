import {
  type Clock,
  derivedSeed,
  objectWith,
  integer,
  InvalidOptionError,
  optional,
  parseOptions,
  type OptionRule,
  seededRandom,
  sleep,
  systemClock,
} from '@holdfast/foundation';
import type { ProxyFaultKind, ProxyFaultSpec } from '../proxy/fault-kinds.ts';
import type { FaultProxy } from '../proxy/fault-proxy.ts';
import { randomFault } from './random-fault.ts';
import { type Schedule, type TimedFault, kindsRule, overlap, seedRule } from './storm.ts';

/** What a storm needs of a server to break it; a server of `@holdfast/stage` has it. */
export interface FleetServer {
  /** The proxy that stands before it. */
  readonly link: Pick<FaultProxy, 'faults' | 'heal'>;
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/** What befalls a server: its link, or itself. */
export type ServerFault =
  | ProxyFaultSpec
  /** Killed at once, started again when it is over. */
  | { readonly kind: 'kill' }
  /** Stands still with its connections open. */
  | { readonly kind: 'freeze' };

export interface FleetFault extends TimedFault {
  readonly server: string;
  readonly fault: ServerFault;
}

/** A storm over several servers; what is of one kind does not overlap on one server, nor do kill and freeze. */
export type FleetStorm = Schedule<FleetFault>;

export interface FleetStormOptions {
  /** The names of the servers. */
  servers: readonly string[];
  /** How long it lasts. Default 10 000. */
  durationMs?: number;
  /** How many faults it has at most. Default 10. */
  maxFaults?: number;
  /** How long one fault lasts at most. Default 2 000. */
  maxFaultMs?: number;
  /** What it may draw for the links. Default: every fault but `corrupt`, which nothing over TCP can notice. */
  kinds?: readonly ProxyFaultKind[];
  /** What it may draw for the servers themselves, as often as for their links. Default `kill`, `freeze`. */
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
const playShape = {
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
};

/**
 * Draws a storm over several servers; the same seed and options give the same one.
 * @param seed any whole number; only its lower 32 bits count.
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
  return { seed, durationMs, faults: faults.toSorted((one, other) => one.atMs - other.atMs) };
}

/**
 * Lets a storm loose on servers, each with its faults in turn; resolves when it is over, all of them run and
 * their links are healed, which is tried whatever happens.
 * @param servers by the names in the storm.
 * @throws InvalidOptionError for a server that is not there; the signal's own reason; what a server throws
 * that does not do as it is told.
 */
export async function playFleetStorm(
  servers: Readonly<Record<string, FleetServer>>,
  { durationMs, faults }: FleetStorm,
  options?: { clock?: Clock; signal?: AbortSignal },
): Promise<void> {
  const { clock, signal } = parseOptions('playFleetStorm', playShape, options);
  const stranger = faults.find(({ server }) => !Object.hasOwn(servers, server))?.server;
  if (stranger !== undefined) {
    const permitted = `one of ${Object.keys(servers).join(', ')}`;
    throw new InvalidOptionError('playFleetStorm', 'server', stranger, permitted);
  }
  const beganMs = clock.now();
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const until = (atMs: number): Promise<void> =>
    sleep(clock, Math.max(0, beganMs + atMs - clock.now()), stop);

  const playOn = async (name: string, server: FleetServer): Promise<void> => {
    const turns = faults
      .filter((fault) => fault.server === name)
      .flatMap(({ atMs, forMs, fault }) => [
        { atMs, fault, isEnd: false },
        { atMs: atMs + forMs, fault, isEnd: true },
      ])
      .toSorted((one, other) => one.atMs - other.atMs);
    let undo: (() => Promise<void>) | undefined;
    try {
      for (const { atMs, fault, isEnd } of turns) {
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
      await until(durationMs);
    } catch (error) {
      failed.abort(error);
      throw error;
    } finally {
      try {
        await undo?.();
      } finally {
        await server.link.heal();
      }
    }
  };
  const played = await Promise.allSettled(
    Object.entries(servers).map(([name, server]) => playOn(name, server)),
  );
  signal?.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  const broken = played.find((one) => one.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
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
