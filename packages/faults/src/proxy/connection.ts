import { type Socket, connect } from 'node:net';
import type { Clock, Timer } from '@holdfast/foundation';
import type { ActiveFault } from './active-faults.ts';
import type { ChunkTransform } from './chunk.ts';
import type { Direction, FaultableConnection } from './fault.ts';
import { Pipe } from './pipe.ts';
import { resetSocket } from './reset-socket.ts';

/** What bounds a connection, and what it reports. */
export interface ConnectionDeps {
  readonly target: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** False: the process may exit while the connection is open. */
  readonly holdsProcess: boolean;
  readonly dialTimeoutMs: number;
  readonly maxBufferedBytes: number;
  /** Bytes that were sent. */
  readonly onBytes: Readonly<Record<Direction, (count: number) => void>>;
  /** Bytes that were read. */
  readonly onRead: Readonly<Record<Direction, (count: number) => void>>;
  readonly onDelayed: (wantedMs: number, achievedMs: number) => void;
  /** Called when the server could not be reached; the client gets RST. */
  onRefused(error: unknown): void;
  onClosed(connection: ProxiedConnection): void;
}

/**
 *            dial            connected          FIN or RST of both
 * waiting ─────────▶ dialing ──────────▶ open ─────────────────────▶ closed
 *    │                  │                 │  │ close, reset            ▲ both ends
 *    │                  │      dropServer │  ├────────▶ closing ───────┤ closed
 *    └──────────────────┴──▶ orphaned ◀───┘  │             ▲
 *                               └────────────┴─────────────┘ its next byte, refusal of the dial
 */
type State =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'dialing'; readonly timer: Timer }
  | { readonly kind: 'open'; readonly pipes: Readonly<Record<Direction, Pipe>> }
  | { readonly kind: 'orphaned' }
  | { readonly kind: 'closing'; readonly timer: Timer | undefined }
  | { readonly kind: 'closed' };

/** How long a closed connection still reads what its peer has sent, so that FIN stays FIN. */
const LINGER_MS = 1_000;
/** How much a socket of Node reads at once. */
const READ_BYTES = 65_536;

/** A client and, once it is dialed, the server behind it. */
export class ProxiedConnection implements FaultableConnection {
  readonly number: number;
  readonly #client: Socket;
  readonly #deps: ConnectionDeps;
  #server: Socket | undefined;
  #state: State = { kind: 'waiting' };
  /** The active faults that apply to this connection. */
  #faults: readonly ActiveFault[] = [];
  readonly #decisions = new WeakMap<ActiveFault, boolean>();
  readonly #transforms = {
    toServer: new WeakMap<ActiveFault, ChunkTransform>(),
    toClient: new WeakMap<ActiveFault, ChunkTransform>(),
  };
  readonly #undos = new Map<ActiveFault, () => void>();
  readonly #counted = new WeakSet<ActiveFault>();

  /** @param client paused, as accepted. */
  constructor(number: number, client: Socket, deps: ConnectionDeps) {
    this.number = number;
    this.#client = client;
    this.#deps = deps;
    if (!deps.holdsProcess) client.unref();
    client.on('error', () => {
      if (this.#state.kind === 'open') this.#state.pipes.toServer.forwardReset();
      else this.reset();
    });
    client.on('close', this.#finish);
  }

  /** Applies the faults that are active from now on. */
  refresh(active: readonly ActiveFault[]): void {
    if (this.#state.kind === 'closed' || this.#state.kind === 'closing') return;
    const before = this.#faults;
    this.#faults = active.filter((fault) => this.#applies(fault));
    const ended = before.filter((fault) => !this.#faults.includes(fault));
    for (const fault of ended) {
      this.#undos.get(fault)?.();
      this.#undos.delete(fault);
    }
    if (this.#state.kind === 'open') this.#changePipes(this.#state.pipes, ended);
    for (const fault of this.#faults) {
      if (this.#undos.has(fault)) continue;
      const undo = fault.fault.applyTo?.(this, this.#deps.clock);
      if (undo !== undefined) this.#undos.set(fault, undo);
    }
    this.#count();
    const isDelayed = this.#faults.some(({ fault }) => fault.delaysDial === true);
    if (this.#state.kind === 'waiting' && !isDelayed) this.#dial();
  }

  reset(): void {
    if (this.#state.kind === 'closed') return;
    this.#enter({ kind: 'closing', timer: undefined });
    for (const end of this.#ends()) resetSocket(end);
  }

  close(): void {
    if (this.#state.kind === 'closed' || this.#state.kind === 'closing') return;
    const timer = this.#deps.clock.schedule(LINGER_MS, () => this.destroy());
    this.#enter({ kind: 'closing', timer });
    for (const end of this.#ends()) {
      end.end();
      end.resume();
    }
  }

  dropServer(): () => void {
    if (this.#state.kind === 'closed' || this.#state.kind === 'closing') return () => {};
    const client = this.#client;
    client.pause();
    this.#enter({ kind: 'orphaned' });
    if (this.#server !== undefined) resetSocket(this.#server);
    return () => {
      if (this.#state.kind !== 'orphaned') return;
      // A client that has ended sends no further byte, so it is reset at once.
      if (client.readableEnded) {
        this.reset();
        return;
      }
      client.on('data', () => this.reset());
      client.on('end', () => this.destroy());
      client.resume();
    };
  }

  /** Drops both ends at once. */
  destroy(): void {
    if (this.#state.kind === 'closed') return;
    this.#enter({ kind: 'closing', timer: undefined });
    for (const end of this.#ends()) end.destroy();
  }

  #enter(next: State): void {
    const before = this.#state;
    if (before.kind === 'dialing' || before.kind === 'closing') before.timer?.cancel();
    if (before.kind === 'open') {
      before.pipes.toServer.stop();
      before.pipes.toClient.stop();
    }
    this.#state = next;
  }

  #ends(): readonly Socket[] {
    return this.#server === undefined ? [this.#client] : [this.#client, this.#server];
  }

  readonly #finish = (): void => {
    if (this.#state.kind === 'closed' || !this.#ends().every((end) => end.closed)) return;
    this.#enter({ kind: 'closed' });
    for (const undo of this.#undos.values()) undo();
    this.#undos.clear();
    this.#deps.onClosed(this);
  };

  /** Counts each fault that this connection feels, once; one that is reset at once feels no other. */
  #count(): void {
    const endsAtOnce = ({ fault }: ActiveFault): boolean =>
      fault.holds === true && fault.delaysDial === true;
    const ending = this.#faults.filter(endsAtOnce);
    for (const each of ending.length > 0 ? ending : this.#faults) {
      if (this.#counted.has(each)) continue;
      this.#counted.add(each);
      each.felt();
    }
  }

  /** Decides once for each fault whether it applies to this connection. */
  #applies(fault: ActiveFault): boolean {
    if (fault.fault.refuses !== undefined) return false;
    const known = this.#decisions.get(fault);
    if (known !== undefined) return known;
    const applies = fault.appliesTo(this.number);
    this.#decisions.set(fault, applies);
    return applies;
  }

  #dial(): void {
    const { target, clock, dialTimeoutMs, holdsProcess } = this.#deps;
    let buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const server = connect({
      ...target,
      allowHalfOpen: true,
      noDelay: true,
      // Reads into one buffer instead of a new one each time; accepted sockets have no such option.
      onread: {
        buffer: () => buffer,
        callback: (count) => {
          const state = this.#state;
          const isInUse =
            state.kind === 'open' && state.pipes.toClient.receive(buffer.subarray(0, count));
          if (isInUse) buffer = Buffer.allocUnsafeSlow(READ_BYTES);
          return true;
        },
      },
    });
    this.#server = server;
    if (!holdsProcess) server.unref();
    const expire = (): void => void server.destroy(new Error('the server did not accept in time'));
    this.#enter({ kind: 'dialing', timer: clock.schedule(dialTimeoutMs, expire) });
    server.on('connect', () => {
      if (this.#state.kind === 'dialing') this.#open(server);
    });
    server.on('error', (error) => {
      if (this.#state.kind === 'open') this.#state.pipes.toClient.forwardReset();
      else if (this.#state.kind === 'dialing') {
        this.#deps.onRefused(error);
        this.reset();
      }
    });
    server.on('close', this.#finish);
  }

  #open(server: Socket): void {
    const pipes = {
      toServer: this.#createPipe('toServer', this.#client, server),
      toClient: this.#createPipe('toClient', server, this.#client),
    };
    this.#enter({ kind: 'open', pipes });
    this.#changePipes(pipes, []);
  }

  #createPipe(direction: Direction, source: Socket, sink: Socket): Pipe {
    const { clock, maxBufferedBytes, onBytes, onRead, onDelayed } = this.#deps;
    return new Pipe({
      source,
      sink,
      clock,
      maxBufferedBytes,
      onBytes: onBytes[direction],
      onRead: onRead[direction],
      onDelayed,
      onCut: (kind) => this[kind](),
    });
  }

  #changePipes(pipes: Readonly<Record<Direction, Pipe>>, ended: readonly ActiveFault[]): void {
    const releases = ended.some(({ fault }) => fault.transform !== undefined);
    for (const direction of ['toServer', 'toClient'] as const) {
      const faults = this.#faults.filter(
        ({ fault }) => fault.direction === 'both' || fault.direction === direction,
      );
      pipes[direction].change({
        transforms: faults.flatMap((fault) => this.#transformOf(fault, direction) ?? []),
        isHeld: faults.some(({ fault }) => fault.holds === true),
        releases,
      });
    }
  }

  /** A transform keeps state, so each fault has one for each direction. */
  #transformOf(fault: ActiveFault, direction: Direction): ChunkTransform | undefined {
    const known = this.#transforms[direction].get(fault);
    if (known !== undefined) return known;
    const transform = fault.fault.transform?.(fault.randomFor(this.number, direction));
    if (transform !== undefined) this.#transforms[direction].set(fault, transform);
    return transform;
  }
}
