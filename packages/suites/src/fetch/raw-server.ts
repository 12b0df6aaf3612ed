import { type Server, type Socket, createServer } from 'node:net';

/** A server of bytes: what a test writes is what the client reads. */
export interface RawServer {
  readonly url: string;
  readonly port: number;
  /** Connections that were accepted, and those open now. */
  accepted: number;
  readonly open: Set<Socket>;
  close(): Promise<void>;
}

/**
 * Listens on a loopback port, and calls `answer` with each request, whose head and body of known length have been
 * read whole.
 */
export async function openRawServer(
  answer: (socket: Socket, request: RawRequest) => void,
  host = '127.0.0.1',
  listenPort = 0,
): Promise<RawServer> {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    raw.accepted += 1;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    readRequests(socket, raw.accepted, answer);
  });
  await new Promise<void>((resolve) => server.listen(listenPort, host, resolve));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const raw: RawServer = {
    url: `http://${host}:${port}/`,
    port,
    accepted: 0,
    open,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
  return raw;
}

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Which of the server's connections it came on, from 1, and which request of it, from 1. */
  readonly connection: number;
  readonly number: number;
}

function readRequests(
  socket: Socket,
  connection: number,
  answer: (socket: Socket, request: RawRequest) => void,
): void {
  let held = Buffer.alloc(0);
  let number = 0;
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, Buffer.from(chunk)]);
    for (;;) {
      const end = held.indexOf('\r\n\r\n');
      if (end === -1) return;
      const [first = '', ...lines] = held.subarray(0, end).toString('latin1').split('\r\n');
      const headers = Object.fromEntries(
        lines.map((line) => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
      );
      const length = Number(headers['content-length'] ?? 0);
      if (held.length < end + 4 + length) return;
      const body = held.subarray(end + 4, end + 4 + length).toString('utf8');
      held = held.subarray(end + 4 + length);
      const [method = '', path = ''] = first.split(' ');
      number += 1;
      answer(socket, { method, path, headers, body, connection, number });
    }
  });
}

/** A whole answer. */
export function whole(
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  status = '200 OK',
): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body);
  const lines = Object.entries({ 'content-length': String(bytes.length), ...headers })
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`), bytes]);
}
