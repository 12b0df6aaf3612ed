import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '@holdfast/foundation';
import type { CertificateExpired, CertificateExpiring } from './events.ts';
import { TlsRefusedError } from './errors.ts';
import { type Chain, validToMs } from './presented-chain.ts';

interface CertificateWatchDeps {
  readonly clock: Clock;
  readonly warnDays: readonly number[];
  readonly drainMs: number;
  expiring(event: CertificateExpiring): void;
  /** Called before the sockets are drained. */
  expired(event: CertificateExpired, fingerprint: string): void;
}

interface Watched {
  readonly key: string;
  readonly hostname: string;
  readonly chain: Chain;
  readonly validToMs: number;
  readonly sockets: Set<TLSSocket>;
  /** The marks that have not been passed, the next one first. */
  marks: readonly number[];
  timer: Timer | undefined;
}

const DAY_MS = 86_400_000;
/** The wall clock may be set while a timer runs. */
const LONGEST_WAIT_MS = 3_600_000;
const MAX_CERTIFICATES = 1_000;

/** Watches the certificates of recent and open connections until their end, which no handshake would notice on these. */
export class CertificateWatch {
  readonly #deps: CertificateWatchDeps;
  readonly #watched = new Map<string, Watched>();
  #isClosed = false;

  constructor(deps: CertificateWatchDeps) {
    this.#deps = deps;
  }

  get openSockets(): number {
    return [...this.#watched.values()].reduce((sum, { sockets }) => sum + sockets.size, 0);
  }

  /** Adds a connection that was verified with `chain`, now or when its session began. */
  add(hostname: string, chain: Chain, socket: TLSSocket): void {
    const key = `${hostname} ${chain[0]?.fingerprint256}`;
    const watched = this.#watched.get(key) ?? this.#watch(key, hostname, chain);
    watched.sockets.add(socket);
    socket.once('close', () => watched.sockets.delete(socket));
  }

  /** Destroys the connections whose chain is not permitted any more. */
  recheck(judge: (hostname: string, chain: Chain) => TlsRefusedError | undefined): void {
    for (const { hostname, chain, sockets } of this.#watched.values()) {
      const refusal = judge(hostname, chain);
      if (refusal === undefined) continue;
      for (const socket of sockets) drop(socket, refusal);
    }
  }

  /** Stops watching; the connections stay open. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#watched.values()) timer?.cancel();
    this.#watched.clear();
  }

  #watch(key: string, hostname: string, chain: Chain): Watched {
    const marks = this.#deps.warnDays.toSorted((one, other) => other - one);
    const watched: Watched = {
      key,
      hostname,
      chain,
      validToMs: validToMs(chain),
      sockets: new Set(),
      marks,
      timer: undefined,
    };
    this.#watched.set(key, watched);
    this.#makeRoom();
    this.#look(watched);
    return watched;
  }

  #makeRoom(): void {
    if (this.#watched.size <= MAX_CERTIFICATES) return;
    const unused = [...this.#watched.values()].find(({ sockets }) => sockets.size === 0);
    if (unused === undefined) return;
    unused.timer?.cancel();
    this.#watched.delete(unused.key);
  }

  /** Says what has been passed, and comes back at the next mark. */
  #look(watched: Watched): void {
    const leftMs = watched.validToMs - this.#deps.clock.epochMs();
    if (leftMs <= 0) {
      this.#expire(watched);
      return;
    }
    const passed = watched.marks.filter((days) => leftMs <= days * DAY_MS);
    watched.marks = watched.marks.slice(passed.length);
    const daysLeft = passed.at(-1);
    // Of several that were passed at once, the one that says most.
    if (daysLeft !== undefined) {
      const { hostname, validToMs: endMs } = watched;
      this.#deps.expiring({ hostname, validToMs: endMs, daysLeft });
    }
    const untilNextMs = leftMs - (watched.marks[0] ?? 0) * DAY_MS;
    this.#wait(watched, Math.min(untilNextMs, LONGEST_WAIT_MS), () => this.#look(watched));
  }

  #expire(watched: Watched): void {
    const { key, hostname, sockets, chain } = watched;
    const event = { hostname, validToMs: watched.validToMs, sockets: [...sockets] };
    this.#deps.expired(event, chain[0]?.fingerprint256 ?? '');
    this.#wait(watched, this.#deps.drainMs, () => {
      this.#watched.delete(key);
      for (const socket of sockets) drop(socket, expiredError(watched));
    });
  }

  #wait(watched: Watched, delayMs: number, then: () => void): void {
    if (this.#isClosed) return;
    watched.timer = this.#deps.clock.schedule(Math.ceil(delayMs), then, { holdsProcess: false });
  }
}

function expiredError({ hostname, chain, validToMs: endMs }: Watched): TlsRefusedError {
  const subject = chain.find(({ validTo }) => Date.parse(validTo) === endMs)?.subject;
  return new TlsRefusedError({ kind: 'expired', hostname, validToMs: endMs, subject });
}

/** An owner who does not listen for errors is not to be ended by one. */
function drop(socket: TLSSocket, error: Error): void {
  if (socket.listenerCount('error') === 0) socket.on('error', () => {});
  socket.destroy(error);
}
