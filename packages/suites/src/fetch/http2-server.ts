import {
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  createSecureServer,
} from 'node:http2';
import { type Socket, connect, createServer } from 'node:net';
import { createCertificateAuthority } from '@holdfast/faults';

interface Http2Request {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** An HTTP/2 server behind a relay whose open connections can be made silent, while new ones work. */
export interface SilenceableHttp2Server {
  readonly url: string;
  readonly ca: string;
  readonly seen: Http2Request[];
  readonly sessions: Set<ServerHttp2Session>;
  /** Connections that were accepted. */
  accepted: number;
  /** From now on nothing passes on the connections that are open. */
  silence(): void;
  close(): Promise<void>;
}

/** @param onStream called when a request has been read whole. */
export async function openHttp2Server(
  onStream: (stream: ServerHttp2Stream, request: Http2Request) => void,
): Promise<SilenceableHttp2Server> {
  const authority = createCertificateAuthority();
  const { key, cert } = authority.issue({ hostnames: ['h2.test'] });
  const server: Http2SecureServer = createSecureServer({ key, cert, allowHTTP1: true });
  server.on('request', (request, response) => {
    if (request.httpVersion === '1.1') response.end('http/1.1');
  });
  server.on('session', (session) => {
    opened.sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => opened.sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    let body = '';
    stream.on('data', (chunk) => (body += String(chunk)));
    stream.on('end', () => {
      const request = { method: headers[':method'] ?? '', path: headers[':path'] ?? '', body };
      opened.seen.push(request);
      onStream(stream, request);
    });
  });
  const upstreamPort = await listen(server);
  const pairs = new Set<[Socket, Socket]>();
  const relay = createServer((client) => {
    opened.accepted += 1;
    const upstream = connect(upstreamPort, '127.0.0.1');
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on('data', (chunk) => to.write(chunk));
      from.on('error', () => {});
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
  });
  const port = await listen(relay);
  const opened: SilenceableHttp2Server = {
    url: `https://h2.test:${port}/`,
    ca: authority.certificate,
    seen: [],
    sessions: new Set(),
    accepted: 0,
    silence() {
      for (const pair of pairs) {
        for (const socket of pair) socket.removeAllListeners('data').on('data', () => {});
      }
    },
    async close() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      for (const session of opened.sessions) session.destroy();
      await Promise.all([relay, server].map((one) => new Promise((resolve) => one.close(resolve))));
    },
  };
  return opened;
}

function listen(server: Http2SecureServer | ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' ? (address?.port ?? 0) : 0);
    });
  });
}
