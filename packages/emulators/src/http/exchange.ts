import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, sleep } from '@holdfast/foundation';
import type { RequestLog } from '../control/request-log.ts';
import type { ScriptedAnswer, UpstreamScript } from './script.ts';

/** One request as the upstream has seen it. */
export interface UpstreamRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** The beginning of its body as UTF-8, up to 4 096 bytes. */
  readonly body: string;
  /** What it was answered with; absent while it waits, or when the client did not wait. */
  readonly status?: number;
  /** The pattern of the route that answered. */
  readonly route?: string;
  /** When it came, in milliseconds since the Unix epoch, by the upstream's own clock. */
  readonly atMs: number;
}

export interface UpstreamExchangeDeps {
  readonly script: UpstreamScript;
  readonly log: RequestLog<UpstreamRequest>;
  readonly clock: Clock;
  /** How long every answer is held back now. */
  readonly latencyMs: () => number;
}

interface Said {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly delayMs: number;
}

const KEPT_BODY_BYTES = 4_096;
const HEALTH = '/health';

/** Answers one request by the script. Rejects when the client goes away before. */
export async function handleUpstreamRequest(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { script, log, clock, latencyMs }: UpstreamExchangeDeps,
): Promise<void> {
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort());
  const { method = 'GET', url = '/' } = incoming;
  const [path = '/'] = url.split('?', 1);
  // In the order of arrival, whenever the bodies may come.
  const line: ScriptedAnswer | undefined = path === HEALTH ? undefined : script.next(method, path);
  const body = await beginningOf(incoming);
  const entry: { -readonly [Key in keyof UpstreamRequest]: UpstreamRequest[Key] } = {
    method,
    path: url,
    headers: headersOf(incoming),
    body,
    atMs: clock.epochMs(),
  };
  if (line?.is === 'routed') entry.route = line.route;
  if (line !== undefined) log.record(entry);
  const said = line === undefined ? healthy : say(line, entry);
  const delayMs = said.delayMs + (line === undefined ? 0 : latencyMs());
  if (delayMs > 0) await sleep(clock, delayMs, gone.signal);
  entry.status = said.status;
  const [type, written] = write(said.body);
  outgoing.writeHead(said.status, {
    ...(type && { 'content-type': type }),
    ...lower(said.headers),
  });
  outgoing.end(written);
}

const healthy: Said = { status: 200, headers: {}, body: { status: 'ok' }, delayMs: 0 };

function say(line: ScriptedAnswer, { method, path, body }: UpstreamRequest): Said {
  if (line.is === 'routed') return line.answer;
  const bare = { headers: {}, delayMs: 0 };
  if (line.is === 'echo') return { ...bare, status: 200, body: { method, path, body } };
  return line.is === 'failure'
    ? { ...bare, status: 503, body: { error: 'one of the requests that fail by chance' } }
    : { ...bare, status: 404, body: { error: `no route fits ${method} ${path}` } };
}

function write(body: unknown): [string | undefined, string] {
  if (body === undefined) return [undefined, ''];
  if (typeof body === 'string') return ['text/plain; charset=utf-8', body];
  return ['application/json', JSON.stringify(body)];
}

function lower(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

function headersOf({ headers }: IncomingMessage): UpstreamRequest['headers'] {
  const given: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) given[name] = value;
  return given;
}

async function beginningOf(incoming: IncomingMessage): Promise<string> {
  const kept: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming) {
    const bytes = Buffer.from(chunk);
    if (length < KEPT_BODY_BYTES) kept.push(bytes.subarray(0, KEPT_BODY_BYTES - length));
    length += bytes.length;
  }
  return Buffer.concat(kept).toString('utf8');
}
