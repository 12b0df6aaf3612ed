import {
  type IncomingMessage,
  type ServerResponse,
  createServer as createHttpServer,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type Socket, createServer } from 'node:net';
import { type Server, type TLSSocket, createServer as createTlsServer } from 'node:tls';
import { systemClock } from '@holdfast/foundation';
import { readBody } from '../control/read-body.ts';
import { openControlServer } from '../control/control-server.ts';
import { parseArguments, serve } from '../control/program.ts';
import { createRequestLog } from '../control/request-log.ts';
import { sharePort } from '../control/shared-port.ts';
import { contextOf } from './context.ts';
import type { TlsHandshake } from './handshake.ts';
import { type TlsProtocol, type TlsSettings, parseTlsSettings } from './settings.ts';

/** The program of the TLS server: HTTPS or an echo, and the stage's control beside it in the clear. */

/** What is said back is held whole. */
const MAX_BODY_BYTES = 16_777_216;

const entry = parseArguments();
const log = createRequestLog<TlsHandshake>();
let server: Server | undefined;
let protocol: TlsProtocol | undefined;
let fault: string | undefined;

const control = await openControlServer({
  file: entry.file,
  // One that has not been told yet, as compose brings it up, has nothing to show.
  parse: (given) => (given === undefined ? undefined : parseTlsSettings(given)),
  apply(settings) {
    // In force for who connects from now on; a connection that stands keeps what it was shown.
    if (settings === undefined) server = undefined;
    else if (server === undefined || settings.protocol !== protocol) server = open(settings);
    else server.setSecureContext(contextOf(settings));
    protocol = settings?.protocol;
    fault = settings?.fault;
    return Promise.resolve();
  },
  log,
});

function open(settings: TlsSettings): Server {
  const opened =
    settings.protocol === 'https'
      ? createHttpsServer(contextOf(settings), (incoming, outgoing) => {
          // Who goes away before the answer is not missed.
          echoRequest(incoming, outgoing).catch(() => outgoing.destroy());
        })
      : createTlsServer(contextOf(settings), (socket) => void socket.pipe(socket));
  opened.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => socket.destroy());
    // `false` where the client named nobody.
    const servername: unknown = 'servername' in socket ? socket.servername : false;
    record({
      ...(typeof servername === 'string' && { servername }),
      protocol: socket.getProtocol() ?? 'unknown',
    });
  });
  opened.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    record({ error: error.code ?? error.message });
    socket.destroy();
  });
  return opened;
}

function record(seen: Omit<TlsHandshake, 'atMs' | 'fault'>): void {
  log.record({ ...seen, ...(fault !== undefined && { fault }), atMs: systemClock.epochMs() });
}

async function echoRequest(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method, url } = incoming;
  const body = await readBody(incoming, MAX_BODY_BYTES);
  outgoing.setHeader('content-type', 'application/json');
  outgoing.end(JSON.stringify({ method, path: url, body }));
}

const controlServer = createHttpServer((incoming, outgoing) => {
  if (!control.handles(incoming, outgoing)) outgoing.writeHead(404).end();
});
const sockets = new Set<Socket>();
const share = sharePort(controlServer, (socket) => {
  if (server === undefined) socket.destroy();
  else server.emit('connection', socket);
});
const port = createServer((socket) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  share(socket);
});
serve('tls', port, entry, () => {
  for (const socket of sockets) socket.destroy();
});
