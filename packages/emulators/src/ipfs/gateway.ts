import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, type Timer, requireNode, systemClock } from '@holdfast/foundation';
import { type HttpListener, listen } from '../serving/http-listener.ts';

/** How a gateway behaves. `cut`: the connection ends in the middle of each block. */
export type IpfsGatewayMode = 'ok' | 'slow' | 'corrupt' | 'error' | 'throttled' | 'hung' | 'cut';

/** What a gateway has, and how it behaves. */
export interface IpfsGatewayOptions {
  /** Blocks by their CIDs. */
  readonly blocks: ReadonlyMap<string, Uint8Array>;
  /** Default `ok`. */
  readonly mode?: IpfsGatewayMode;
  /** Before each answer of a slow gateway, in milliseconds. Default 200. */
  readonly slowMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

/** An emulated gateway of IPFS in this process, which serves blocks: `/ipfs/<cid>?format=raw`. */
export interface IpfsGatewayServer extends HttpListener {
  setMode(mode: IpfsGatewayMode): void;
  /** Requests for blocks, those that failed included. */
  requests(): number;
}

/** A gateway behind which is no network: it has the blocks that it was given. */
class IpfsGateway {
  mode: IpfsGatewayMode;
  requests = 0;
  readonly #blocks: ReadonlyMap<string, Uint8Array>;
  readonly #slowMs: number;
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();

  constructor(options: IpfsGatewayOptions) {
    this.mode = options.mode ?? 'ok';
    this.#blocks = options.blocks;
    this.#slowMs = options.slowMs ?? 200;
    this.#clock = options.clock ?? systemClock;
  }

  serve(message: IncomingMessage, response: ServerResponse): void {
    const [, cid = ''] = /^\/ipfs\/(\w+)(?:\?|$)/.exec(message.url ?? '') ?? [];
    this.requests += 1;
    const block = this.#blocks.get(cid);
    switch (this.mode) {
      case 'hung':
        return;
      case 'error':
        response.writeHead(502).end('Bad Gateway');
        return;
      case 'throttled':
        response.writeHead(429, { 'retry-after': '1' }).end();
        return;
      case 'slow':
        this.#later(() => send(response, block));
        return;
      case 'corrupt':
        send(response, block && damaged(block));
        return;
      case 'cut':
        cut(response, block);
        return;
      case 'ok':
        send(response, block);
    }
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #later(work: () => void): void {
    const timer = this.#clock.schedule(this.#slowMs, () => {
      this.#timers.delete(timer);
      work();
    });
    this.#timers.add(timer);
  }
}

/**
 * Starts an emulated gateway.
 * @throws the system's own error when it cannot listen.
 */
export async function createIpfsGateway(options: IpfsGatewayOptions): Promise<IpfsGatewayServer> {
  requireNode('createIpfsGateway');
  const gateway = new IpfsGateway(options);
  const listener = await listen(gateway, { host: '127.0.0.1', port: 0 });
  return Object.assign(listener, {
    setMode: (mode: IpfsGatewayMode) => {
      gateway.mode = mode;
    },
    requests: () => gateway.requests,
  });
}

function send(response: ServerResponse, block: Uint8Array | undefined): void {
  if (block === undefined) {
    response.writeHead(404).end('not found');
    return;
  }
  response
    .writeHead(200, {
      'content-type': 'application/vnd.ipld.raw',
      'content-length': block.byteLength,
    })
    .end(block);
}

function cut(response: ServerResponse, block: Uint8Array | undefined): void {
  if (block === undefined) {
    send(response, block);
    return;
  }
  response.writeHead(200, { 'content-length': block.byteLength });
  response.write(block.subarray(0, Math.floor(block.byteLength / 2)), () => response.destroy());
}

/** One bit in the middle. */
function damaged(block: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(block);
  const middle = Math.floor(copy.length / 2);
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
