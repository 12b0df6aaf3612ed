import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type Socket, createServer } from 'node:net';
import { systemClock } from '@holdfast/foundation';
import { openControlServer } from '../control/control-server.ts';
import { parseArguments, serve } from '../control/program.ts';
import { createRequestLog } from '../control/request-log.ts';
import { sharePort } from '../control/shared-port.ts';
import { type DnsFaultInjector, createDnsFaultInjector } from './faults.ts';
import {
  type DnsMessage,
  createFrameReader,
  decodeMessage,
  frameMessage,
} from '@holdfast/protocols/dns';
import { type DnsQuery, READY_NAME, READY_RECORD, typeName } from './query.ts';
import { respond, respondToMalformed } from './respond.ts';
import { type DnsSettings, parseDnsSettings } from './settings.ts';

/** The program of the DNS server: UDP and TCP at one port, and the stage's control beside them. */

const entry = parseArguments();
const log = createRequestLog<DnsQuery>();
let settings: DnsSettings = parseDnsSettings('dns', {});
let faults: DnsFaultInjector = createDnsFaultInjector([]);

const control = await openControlServer({
  file: entry.file,
  parse: (given) => parseDnsSettings('dns', given ?? {}),
  apply(next) {
    if (JSON.stringify(next.faults) !== JSON.stringify(settings.faults)) {
      faults = createDnsFaultInjector(next.faults);
    }
    settings = next;
    return Promise.resolve();
  },
  log,
});
faults = createDnsFaultInjector(settings.faults);

function answer(bytes: Buffer, transport: 'udp' | 'tcp', send: (reply: Buffer) => void): void {
  let query: DnsMessage;
  try {
    query = decodeMessage(bytes);
  } catch {
    const response = respondToMalformed(bytes);
    if (response !== undefined) send(response);
    return;
  }
  if (query.isResponse) return;
  const [{ name, type } = { name: '', type: 0 }] = query.questions;
  const isStage = name.toLowerCase() === READY_NAME;
  const injected = isStage ? [] : faults.inject(name);
  if (!isStage) {
    log.record({
      name,
      type: typeName(type),
      transport,
      faults: injected.map(({ fault }) => fault.kind),
      atMs: systemClock.epochMs(),
    });
  }
  const reply = respond(query, isStage ? [READY_RECORD] : settings.records, injected, transport);
  if (reply === undefined) return;
  if (reply.delayMs === 0) send(reply.bytes);
  else systemClock.schedule(reply.delayMs, () => send(reply.bytes), { holdsProcess: false });
}

const datagrams = createSocket(entry.host.includes(':') ? 'udp6' : 'udp4');
datagrams.on('message', (bytes, from) => {
  answer(bytes, 'udp', (reply) => datagrams.send(reply, from.port, from.address, () => {}));
});

const controlServer = createHttpServer((incoming, outgoing) => {
  if (!control.handles(incoming, outgoing)) outgoing.writeHead(404).end();
});
const sockets = new Set<Socket>();
const share = sharePort(controlServer, (socket) => {
  const frames = createFrameReader((bytes) => {
    answer(bytes, 'tcp', (reply) => {
      if (socket.writable) socket.write(frameMessage(reply));
    });
  });
  socket.on('data', frames);
});
const server = createServer((socket) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  share(socket);
});
datagrams.on('error', (error: NodeJS.ErrnoException) => {
  console.error(`dns cannot listen on ${entry.host}:${entry.port} over UDP: ${error.code}`);
  process.exit(1);
});
datagrams.bind(entry.port, entry.host);
await once(datagrams, 'listening');
serve('dns', server, entry, () => {
  for (const socket of sockets) socket.destroy();
});
