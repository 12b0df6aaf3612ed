import type { Socket } from 'node:net';
import { type Clock, sleep } from '@holdfast/foundation';
import { resetSocket } from '../proxy/reset-socket.ts';
import { type HttpHead, changedHead } from './http-head.ts';
import type { HttpFaultKind, ResolvedHttpFault } from './http-faults.ts';
import { sendAll } from './send-all.ts';

/** The faults to inject into one request. */
export type InjectedHttpFaults = ReadonlyMap<HttpFaultKind, ResolvedHttpFault>;

/** The collaborators of {@link sendChanged}. */
interface ChangeDeps {
  readonly faults: InjectedHttpFaults;
  readonly clock: Clock;
  /** A longer body fails. */
  readonly maxBodyBytes: number;
  readonly signal: AbortSignal;
}

const changing: readonly HttpFaultKind[] = [
  'malformedBody',
  'truncatedBody',
  'resetBody',
  'slowDrip',
];

/** Returns whether a fault needs the whole body of the response. */
export function changesBody(faults: InjectedHttpFaults): boolean {
  return changing.some((kind) => faults.has(kind));
}

/** Returns the head with the content type that a fault asks for. */
export function headOf(head: HttpHead, faults: InjectedHttpFaults): Buffer {
  const wrong = faults.get('wrongContentType');
  return wrong === undefined
    ? head.bytes
    : changedHead(head, { 'content-type': wrong.contentType });
}

/** Sends a response with what the faults leave of its body. @throws RangeError for a body that is too long */
export async function sendChanged(
  client: Socket,
  head: HttpHead,
  parts: AsyncIterable<{ readonly content: readonly Buffer[] }>,
  { faults, clock, maxBodyBytes, signal }: ChangeDeps,
): Promise<void> {
  const whole = await contentOf(parts, maxBodyBytes);
  const body = faults.has('malformedBody') ? whole.subarray(0, whole.length >> 1) : whole;
  const wrong = faults.get('wrongContentType');
  const changes = {
    ...(wrong !== undefined && { 'content-type': wrong.contentType }),
    'transfer-encoding': undefined,
    trailer: undefined,
    'content-length': String(body.length),
  };
  await sendAll(client, changedHead(head, changes));
  const reset = faults.get('resetBody');
  const truncated = reset ?? faults.get('truncatedBody');
  const keptBytes = Math.floor(body.length * (truncated?.keptShare ?? 1));
  const drip = faults.get('slowDrip');
  const pieceBytes = drip?.dripBytes ?? Math.max(1, keptBytes);
  for (let from = 0; from < keptBytes; from += pieceBytes) {
    if (drip !== undefined && from > 0) await sleep(clock, drip.delayMs, signal);
    await sendAll(client, body.subarray(from, Math.min(keptBytes, from + pieceBytes)));
  }
  if (reset !== undefined) client.write('', () => resetSocket(client));
  else if (truncated !== undefined) client.destroySoon();
}

async function contentOf(
  parts: AsyncIterable<{ readonly content: readonly Buffer[] }>,
  maxBytes: number,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const { content } of parts) {
    for (const bytes of content) length += bytes.length;
    if (length > maxBytes) throw new RangeError(`the body is longer than ${maxBytes} bytes`);
    chunks.push(...content);
  }
  return Buffer.concat(chunks);
}
