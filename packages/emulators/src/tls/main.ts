import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Http2ServerRequest,
  type Http2ServerResponse,
  createSecureServer as createHttp2Server,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type Server, type TLSSocket, createServer as createTlsServer } from 'node:tls';
import { systemClock } from '@holdfast/foundation';
import { openProgram, serve } from '../control/program.ts';
import { createSharedPort } from '../control/shared-port.ts';
import { readBytes } from '../serving/body.ts';
import { contextOf } from './context.ts';
import type { TlsHandshake } from './handshake.ts';
import { type TlsProtocol, type TlsSettings, parseTlsSettings } from './settings.ts';

/** The TLS program: HTTPS, HTTP/2 or an echo, on a port shared with control requests in clear text. */

/** The limit of a request body, which is echoed from memory. */
const MAX_BODY_BYTES = 16_777_216;

let server: Server | undefined;
let protocol: TlsProtocol | undefined;

const program = await openProgram<TlsSettings | undefined, TlsHandshake>({
  // Under Docker Compose the program starts before it has settings, and so without a certificate.
  parse: (given) => (given === undefined ? undefined : parseTlsSettings(given)),
  apply(settings) {
    // Applies to new connections; open ones keep the certificate they got.
    if (settings === undefined) server = undefined;
    else if (server === undefined || settings.protocol !== protocol) server = open(settings);
    else server.setSecureContext(contextOf(settings));
    protocol = settings?.protocol;
  },
});

function open(settings: TlsSettings): Server {
  const opened = openFor(settings);
  opened.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => socket.destroy());
    // `false` when the client sent no server name.
    const servername: unknown = 'servername' in socket ? socket.servername : false;
    record({
      ...(typeof servername === 'string' && { servername }),
      protocol: socket.getProtocol() ?? 'unknown',
      ...(socket.isSessionReused() && { resumed: true }),
    });
  });
  opened.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    record({ error: error.code ?? error.message });
    socket.destroy();
  });
  return opened;
}

function openFor(settings: TlsSettings): Server {
  const context = contextOf(settings);
  if (settings.protocol === 'echo') {
    return createTlsServer(context, (socket) => void socket.pipe(socket));
  }
  if (settings.protocol === 'https') {
    return createHttpsServer(context, (incoming, outgoing) => {
      // Rejects when the client disconnects.
      echoRequest(incoming, outgoing).catch(() => outgoing.destroy());
    });
  }
  return createHttp2Server(context, (incoming, outgoing) => {
    echoRequest(incoming, outgoing).catch(() => outgoing.stream.destroy());
  });
}

function record(handshake: Omit<TlsHandshake, 'atMs' | 'fault'>): void {
  const fault = program.settings?.fault;
  program.log.record({
    ...handshake,
    ...(fault !== undefined && { fault }),
    atMs: systemClock.epochMs(),
  });
}

async function echoRequest(
  incoming: IncomingMessage | Http2ServerRequest,
  outgoing: ServerResponse | Http2ServerResponse,
): Promise<void> {
  const { method, url } = incoming;
  const body = (await readBytes(incoming, MAX_BODY_BYTES)).toString('utf8');
  outgoing.setHeader('content-type', 'application/json');
  outgoing.end(JSON.stringify({ method, path: url, body }));
}

const port = createSharedPort(program, (socket) => {
  if (server === undefined) socket.destroy();
  else server.emit('connection', socket);
});
serve('tls', port.server, program, () => port.destroyConnections());
