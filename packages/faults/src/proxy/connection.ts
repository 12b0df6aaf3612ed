import { type Socket, connect } from 'node:net';
import type { Clock, Timer } from '@holdfast/foundation';
import type { Direction, FaultableConnection } from './fault.ts';
import type { ActiveFault } from './active-faults.ts';
import { type Pipe, createPipe } from './pipe.ts';
import type { ChunkTransform } from './chunk.ts';
import { resetSocket } from './reset-socket.ts';

/** A client and, once it is dialled, the server behind it. */
export interface Connection extends FaultableConnection {
  readonly number: number;
  /** The faults in force from now on. */
  refresh(inForce: readonly ActiveFault[]): void;
  /** Both ends are dropped at once. */
  destroy(): void;
}

/** What connections report, and what bounds them. */
export interface ConnectionDeps {
  readonly target: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** False: the process may exit while it is open. */
  readonly holdsProcess: boolean;
  readonly dialTimeoutMs: number;
  readonly maxBufferedBytes: number;
  onBytes(direction: Direction, count: number): void;
  readonly onDelayed: (wantedMs: number, achievedMs: number) => void;
  /** The server could not be reached; the client was answered by RST. */
  onRefused(error: unknown): void;
  onClosed(connection: Connection): void;
}

/**
 *            dial            connected          FIN or RST of both
 * waiting ─────────▶ dialling ─────────▶ open ─────────────────────▶ closed
 *    │                  │                 │  │ close, reset            ▲ both ends
 *    │                  │      loseServer │  ├────────▶ closing ───────┤ are gone
 *    └──────────────────┴──▶ orphaned ◀───┘  │             ▲
 *                               └────────────┴─────────────┘ its next byte, refusal of the dial
 */
type Phase =
  | { readonly at: 'waiting' }
  | { readonly at: 'dialling'; readonly timer: Timer }
  | { readonly at: 'open'; readonly lanes: Readonly<Record<Direction, Pipe>> }
  | { readonly at: 'orphaned' }
  | { readonly at: 'closing'; readonly timer: Timer | undefined }
  | { readonly at: 'closed' };

/** How long a closed connection still reads what its peer had under way, so that FIN stays FIN. */
const LINGER_MS = 1_000;
/** What a socket of Node's reads at once. */
const READ_BYTES = 65_536;
const directions = ['toServer', 'toClient'] as const;

/** @param client paused, as accepted. */
export function createConnection(
  number: number,
  client: Socket,
  surroundings: ConnectionDeps,
): Connection {
  const { target, clock, dialTimeoutMs, maxBufferedBytes } = surroundings;
  let phase: Phase = { at: 'waiting' };
  let server: Socket | undefined;
  let struck: readonly ActiveFault[] = [];
  const decisions = new WeakMap<ActiveFault, boolean>();
  const stages = {
    toServer: new WeakMap<ActiveFault, ChunkTransform>(),
    toClient: new WeakMap<ActiveFault, ChunkTransform>(),
  };
  const undos = new Map<ActiveFault, () => void>();

  const leave = (): void => {
    if (phase.at === 'dialling' || phase.at === 'closing') phase.timer?.cancel();
    if (phase.at !== 'open') return;
    phase.lanes.toServer.stop();
    phase.lanes.toClient.stop();
  };
  const enter = (next: Phase): void => {
    leave();
    phase = next;
  };
  const ends = (): readonly Socket[] => (server === undefined ? [client] : [client, server]);

  const finish = (): void => {
    if (phase.at === 'closed' || !ends().every((end) => end.closed)) return;
    enter({ at: 'closed' });
    for (const undo of undos.values()) undo();
    undos.clear();
    surroundings.onClosed(connection);
  };

  const stagesFor = (direction: Direction): ChunkTransform[] =>
    struck.flatMap((setting) => {
      const { fault } = setting;
      if (fault.transform === undefined || !meets(setting, direction)) return [];
      const known = stages[direction].get(setting);
      const stage = known ?? fault.transform(setting.randomFor(number, direction));
      if (known === undefined) stages[direction].set(setting, stage);
      return [stage];
    });

  const changeLanes = (
    lanes: Readonly<Record<Direction, Pipe>>,
    gone: readonly ActiveFault[],
  ): void => {
    for (const direction of directions) {
      lanes[direction].change({
        stages: stagesFor(direction),
        isHeld: struck.some((setting) => setting.fault.holds === true && meets(setting, direction)),
        releases: gone.some((setting) => setting.fault.transform !== undefined),
      });
    }
  };

  const open = (upstream: Socket): void => {
    const laneOf = (direction: Direction, source: Socket, sink: Socket): Pipe =>
      createPipe({
        source,
        sink,
        clock,
        maxBufferedBytes,
        onBytes: (count) => surroundings.onBytes(direction, count),
        onDelayed: surroundings.onDelayed,
        onCut: (kind) => connection[kind](),
      });
    const lanes = {
      toServer: laneOf('toServer', client, upstream),
      toClient: laneOf('toClient', upstream, client),
    };
    enter({ at: 'open', lanes });
    changeLanes(lanes, []);
  };

  const dial = (): void => {
    let buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const upstream = connect({
      ...target,
      allowHalfOpen: true,
      noDelay: true,
      // One buffer for all that is read, instead of one a read; sockets that are accepted have no word for it.
      onread: {
        buffer: () => buffer,
        callback(count) {
          const isNeeded =
            phase.at === 'open' && phase.lanes.toClient.receive(buffer.subarray(0, count));
          if (isNeeded) buffer = Buffer.allocUnsafeSlow(READ_BYTES);
          return true;
        },
      },
    });
    server = upstream;
    if (!surroundings.holdsProcess) upstream.unref();
    const late = (): void => void upstream.destroy(new Error('the server did not accept in time'));
    enter({ at: 'dialling', timer: clock.schedule(dialTimeoutMs, late) });
    upstream.on('connect', () => {
      if (phase.at === 'dialling') open(upstream);
    });
    upstream.on('error', (error) => {
      if (phase.at === 'open') phase.lanes.toClient.carryReset();
      else if (phase.at === 'dialling') {
        surroundings.onRefused(error);
        connection.reset();
      }
    });
    upstream.on('close', finish);
  };

  const connection: Connection = {
    number,
    refresh(inForce) {
      if (phase.at === 'closed' || phase.at === 'closing') return;
      const before = struck;
      struck = inForce.filter((setting) => {
        if (setting.fault.refuses !== undefined) return false;
        const known = decisions.get(setting);
        const decided = known ?? setting.appliesTo(number);
        if (known === undefined) decisions.set(setting, decided);
        return decided;
      });
      const gone = before.filter((setting) => !struck.includes(setting));
      for (const setting of gone) {
        undos.get(setting)?.();
        undos.delete(setting);
      }
      if (phase.at === 'open') changeLanes(phase.lanes, gone);
      for (const setting of struck) {
        const undo = undos.has(setting) ? undefined : setting.fault.applyTo?.(connection, clock);
        if (undo !== undefined) undos.set(setting, undo);
      }
      const isKept = struck.some((setting) => setting.fault.delaysDial === true);
      if (phase.at === 'waiting' && !isKept) dial();
    },
    reset() {
      if (phase.at === 'closed') return;
      enter({ at: 'closing', timer: undefined });
      for (const end of ends()) resetSocket(end);
    },
    close() {
      if (phase.at === 'closed' || phase.at === 'closing') return;
      const timer = clock.schedule(LINGER_MS, () => connection.destroy());
      enter({ at: 'closing', timer });
      for (const end of ends()) {
        end.end();
        end.resume();
      }
    },
    dropServer() {
      if (phase.at === 'closed' || phase.at === 'closing') return () => {};
      client.pause();
      enter({ at: 'orphaned' });
      if (server !== undefined) resetSocket(server);
      return () => {
        if (phase.at !== 'orphaned') return;
        // One that has ended has no next byte, and its going away is not to be seen.
        if (client.readableEnded) {
          connection.reset();
          return;
        }
        client.on('data', () => connection.reset());
        client.on('end', () => connection.destroy());
        client.resume();
      };
    },
    destroy() {
      if (phase.at === 'closed') return;
      enter({ at: 'closing', timer: undefined });
      for (const end of ends()) end.destroy();
    },
  };
  if (!surroundings.holdsProcess) client.unref();
  client.on('error', () => {
    if (phase.at === 'open') phase.lanes.toServer.carryReset();
    else connection.reset();
  });
  client.on('close', finish);
  return connection;
}

function meets({ fault }: ActiveFault, direction: Direction): boolean {
  return fault.direction === 'both' || fault.direction === direction;
}
