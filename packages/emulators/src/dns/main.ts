import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { systemClock } from '@holdfast/foundation';
import {
  type DnsMessage,
  createFrameReader,
  decodeMessage,
  frameMessage,
} from '@holdfast/protocols/dns';
import { openProgram, serve } from '../control/program.ts';
import { reuseWhileEqual } from '../control/reuse-while-equal.ts';
import { createSharedPort } from '../control/shared-port.ts';
import { createDnsFaultInjector } from './faults.ts';
import { type DnsQuery, READY_NAME, READY_RECORD, typeName } from './query.ts';
import { respond, respondToMalformed } from './respond.ts';
import { type DnsSettings, parseDnsSettings } from './settings.ts';

/** The DNS program: UDP and TCP on one port, which it shares with control requests. */

const injectorOf = reuseWhileEqual(createDnsFaultInjector);
let faults = injectorOf([]);
const program = await openProgram<DnsSettings, DnsQuery>({
  parse: (given) => parseDnsSettings('dns', given ?? {}),
  apply: (settings) => void (faults = injectorOf(settings.faults)),
});

function handle(
  bytes: Buffer,
  transport: 'udp' | 'tcp',
  send: (response: Buffer, fromOtherPort?: boolean) => void,
): void {
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
  const injected = isStage ? [] : faults.inject(name, typeName(type));
  if (!isStage) {
    program.log.record({
      name,
      type: typeName(type),
      transport,
      faults: injected.map(({ fault }) => fault.kind),
      atMs: systemClock.epochMs(),
    });
  }
  const records = isStage ? [READY_RECORD] : program.settings.records;
  const { bytes: response, delayMs, forged } = respond(query, records, injected, transport);
  for (const each of forged) send(each.bytes, each.fromOtherPort);
  if (response === undefined) return;
  if (delayMs === 0) send(response);
  else systemClock.schedule(delayMs, () => send(response), { holdsProcess: false });
}

const family = program.host.includes(':') ? 'udp6' : 'udp4';
const datagrams = createSocket(family);
const forger = createSocket(family);
forger.on('error', () => {});
datagrams.on('message', (bytes, from) => {
  handle(bytes, 'udp', (response, fromOtherPort = false) => {
    const socket = fromOtherPort ? forger : datagrams;
    socket.send(response, from.port, from.address, () => {});
  });
});
const port = createSharedPort(program, (socket) => {
  const frames = createFrameReader((bytes) => {
    handle(bytes, 'tcp', (response) => {
      if (socket.writable) socket.write(frameMessage(response));
    });
  });
  socket.on('data', frames);
});
datagrams.on('error', (error: NodeJS.ErrnoException) => {
  console.error(`dns cannot listen on ${program.host}:${program.port} over UDP: ${error.code}`);
  process.exit(1);
});
datagrams.bind(program.port, program.host);
await once(datagrams, 'listening');
serve('dns', port.server, program, () => port.destroyConnections());
