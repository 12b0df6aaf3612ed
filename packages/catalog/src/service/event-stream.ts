import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '@holdfast/foundation';
import { CatalogEventsFullError } from './errors.ts';
import type { StatusBody } from './status-body.ts';

interface EventStreamDeps {
  readonly read: () => StatusBody;
  readonly maxClients: number;
  readonly intervalMs: number;
  readonly clock: Clock;
}

/** A client that has not read so many bytes is disconnected; it connects again, and gets the present status. */
const MAX_WAITING_BYTES = 65_536;
/** A line that clients ignore, so that neither they nor proxies take the connection for dead. */
const HEARTBEAT_MS = 15_000;
/** When browsers connect again. */
const RECONNECT_MS = 3_000;

/** Sends the status to each client as a server-sent event whenever it has changed; one look at it serves all. */
export class EventStream {
  readonly #deps: EventStreamDeps;
  readonly #clients = new Set<ServerResponse>();
  #timer: Timer | undefined;
  #sent = '';
  #sentMs = 0;

  constructor(deps: EventStreamDeps) {
    this.#deps = deps;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** @throws CatalogEventsFullError before anything is written. */
  assertRoom(): void {
    if (this.#clients.size < this.#deps.maxClients) return;
    throw new CatalogEventsFullError(this.#deps.maxClients);
  }

  /** Sends the present status, and then each other one until the client goes. */
  add(response: ServerResponse): void {
    this.#clients.add(response);
    response.once('close', () => {
      this.#clients.delete(response);
      if (this.#clients.size === 0) this.#stop();
    });
    response.write(`retry: ${RECONNECT_MS}\n\n${eventOf(this.#deps.read())}`);
    if (this.#timer === undefined) this.#schedule();
  }

  /** Ends all. */
  close(): void {
    this.#stop();
    for (const client of this.#clients) client.end();
  }

  #schedule(): void {
    this.#timer = this.#deps.clock.schedule(this.#deps.intervalMs, () => {
      this.#schedule();
      this.#look();
    });
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sent = '';
  }

  #look(): void {
    const status = this.#deps.read();
    const now = this.#deps.clock.now();
    // The age alone is no news.
    const content = JSON.stringify({ ...status, origin: { ...status.origin, ageMs: 0 } });
    if (content !== this.#sent) this.#send(eventOf(status));
    else if (now - this.#sentMs >= HEARTBEAT_MS) this.#send(':\n\n');
    else return;
    this.#sent = content;
    this.#sentMs = now;
  }

  #send(text: string): void {
    for (const client of this.#clients) {
      if (client.writableLength > MAX_WAITING_BYTES) client.destroy();
      else client.write(text);
    }
  }
}

function eventOf(status: StatusBody): string {
  return `event: status\ndata: ${JSON.stringify(status)}\n\n`;
}
