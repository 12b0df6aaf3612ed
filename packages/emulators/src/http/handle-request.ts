import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, sleep } from '@holdfast/foundation';
import type { RequestLog } from '../control/request-log.ts';
import { type ResolvedWire, sendOnWire } from './wire.ts';
import type { ScriptedResponse, UpstreamScript } from './upstream-script.ts';

/** One request to the upstream. */
export interface UpstreamRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** The first 4 096 bytes of the body as UTF-8. */
  readonly body: string;
  /** The status of the response; absent while there is none, or when the client disconnected before it. */
  readonly status?: number;
  /** The path pattern of the route that matched. */
  readonly route?: string;
  /** When it arrived, in milliseconds since the Unix epoch, by the upstream's clock. */
  readonly atMs: number;
}

interface UpstreamRequestDeps {
  readonly script: UpstreamScript;
  readonly log: RequestLog<UpstreamRequest>;
  readonly clock: Clock;
  /** The delay of every response now. */
  readonly latencyMs: () => number;
}

interface PlainResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly delayMs: number;
  readonly wire?: ResolvedWire | undefined;
}

/** The connections on which a response was sent. */
const answeredOn = new WeakSet<Socket>();
const KEPT_BODY_BYTES = 4_096;
const HEALTH = '/health';

/** Handles a request by the script. Rejects when the client disconnects first. */
export async function handleUpstreamRequest(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { script, log, clock, latencyMs }: UpstreamRequestDeps,
): Promise<void> {
  const left = new AbortController();
  outgoing.once('close', () => left.abort());
  const { method = 'GET', url = '/' } = incoming;
  const [path = '/'] = url.split('?', 1);
  // Before the body is read, so that responses follow the order of arrival.
  const scripted: ScriptedResponse | undefined =
    path === HEALTH ? undefined : script.next(method, path);
  const body = await readBodyStart(incoming);
  const entry: { -readonly [Key in keyof UpstreamRequest]: UpstreamRequest[Key] } = {
    method,
    path: url,
    headers: headersOf(incoming),
    body,
    atMs: clock.epochMs(),
  };
  if (scripted?.kind === 'routed') entry.route = scripted.route;
  if (scripted !== undefined) log.record(entry);
  const response = scripted === undefined ? healthy : toResponse(scripted, entry);
  const { wire } = response;
  const { socket } = incoming;
  if (wire?.closesReused === true && answeredOn.has(socket)) {
    socket.resetAndDestroy();
    return;
  }
  answeredOn.add(socket);
  const delayMs = response.delayMs + (scripted === undefined ? 0 : latencyMs());
  if (delayMs > 0) await sleep(clock, delayMs, left.signal);
  entry.status = response.status;
  const [type, written] = encodeBody(response.body);
  const headers = { ...(type && { 'content-type': type }), ...lowerCaseNames(response.headers) };
  if (wire !== undefined) {
    const context = { clock, signal: left.signal };
    await sendOnWire(outgoing, { status: response.status, headers }, written, wire, context);
    return;
  }
  outgoing.writeHead(response.status, headers);
  outgoing.end(written);
}

const healthy: PlainResponse = { status: 200, headers: {}, body: { status: 'ok' }, delayMs: 0 };

function toResponse(
  line: ScriptedResponse,
  { method, path, body }: UpstreamRequest,
): PlainResponse {
  if (line.kind === 'routed') return line.response;
  const bare = { headers: {}, delayMs: 0 };
  if (line.kind === 'echo') return { ...bare, status: 200, body: { method, path, body } };
  return line.kind === 'failure'
    ? { ...bare, status: 503, body: { error: 'a random failure' } }
    : { ...bare, status: 404, body: { error: `no route matches ${method} ${path}` } };
}

function encodeBody(body: unknown): [string | undefined, string] {
  if (body === undefined) return [undefined, ''];
  if (typeof body === 'string') return ['text/plain; charset=utf-8', body];
  return ['application/json', JSON.stringify(body)];
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

function headersOf({ headers }: IncomingMessage): UpstreamRequest['headers'] {
  const given: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) given[name] = value;
  return given;
}

async function readBodyStart(incoming: IncomingMessage): Promise<string> {
  const kept: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming) {
    const bytes = Buffer.from(chunk);
    if (length < KEPT_BODY_BYTES) kept.push(bytes.subarray(0, KEPT_BODY_BYTES - length));
    length += bytes.length;
  }
  return Buffer.concat(kept).toString('utf8');
}
