import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ErrorFault,
  type ServerCall,
  answerWithFault,
  stall,
} from '../serving/call-faults.ts';
import { type HttpResponse, sendResponse } from '../serving/http-listener.ts';
import { ROLES, type StorageRole } from './access.ts';
import { type ResolvedSupabaseFaults, type SupabaseFaults, parseSupabaseFaults } from './faults.ts';
import { jsonResponse } from './operations/storage-call.ts';
import { verifyToken } from './jwt.ts';
import type { ResolvedSupabaseOptions } from './options.ts';
import { SupabaseError, supabaseError } from './error.ts';
import { type Route, routeOf } from './operations/routes.ts';
import { openSupabaseStore } from './store.ts';

export interface SupabaseStorageStats {
  /** Requests by operation, also those that were refused or struck by a fault. */
  readonly requests: Readonly<Record<string, number>>;
  /** Bytes of bodies that were read, forms included. */
  readonly receivedBytes: number;
  readonly objects: number;
}

/** One request and what it was answered. */
export interface SupabaseRequestRecord extends ServerCall {
  /** Of HTTP; 0 where the connection was ended instead. */
  readonly status: number;
  /** Bytes of its body that were read, forms included. */
  readonly receivedBytes: number;
}

/** Everything of a Supabase Storage but its port. */
export interface SupabaseHandler {
  serve(message: IncomingMessage, response: ServerResponse): void;
  /** @throws InvalidOptionError */
  setFaults(faults: SupabaseFaults): void;
  getStats(): SupabaseStorageStats;
  close(): void;
}

const PREFIX = '/storage/v1';

export async function openSupabaseHandler(
  options: ResolvedSupabaseOptions,
  onRequest: (request: SupabaseRequestRecord) => void,
): Promise<SupabaseHandler> {
  const { clock, faults: faultHook, jwtSecret, policies, databaseTimeoutMs } = options;
  const store = await openSupabaseStore(options.directory);
  const parse = (given: SupabaseFaults): ResolvedSupabaseFaults =>
    parseSupabaseFaults('setFaults', { policies, ...given });
  let faults = parse({});
  const requests: Record<string, number> = {};
  let receivedBytes = 0;

  const perform = async (
    message: IncomingMessage,
    { method, prefix, query, route }: ParsedRequest,
    onBytes: (bytes: number) => void,
  ): Promise<HttpResponse> => {
    const role = route.isOpen ? 'anon' : roleOf(message, jwtSecret, clock.epochMs());
    if (route.operation !== 'status') await reachDatabase(message);
    const { bucket, key, isOpen } = route;
    const request = { message, method, prefix, query, bucket, key, role, isOpen };
    return route.perform({ ...request, store, options, faults, clock, onBytes });
  };

  const reachDatabase = async (message: IncomingMessage): Promise<void> => {
    if (faults.database === 'down') throw supabaseError('InternalError');
    if (faults.database === 'up') return;
    await stall(databaseTimeoutMs, message, clock);
    throw supabaseError('DatabaseTimeout');
  };

  const answer = async (message: IncomingMessage): Promise<HttpResponse | undefined> => {
    const parsed = parseRequest(message);
    if (parsed === undefined) return unknownRoute(message);
    const { operation, bucket, key } = parsed.route;
    requests[operation] = (requests[operation] ?? 0) + 1;
    let ownBytes = 0;
    const onBytes = (bytes: number): void => {
      ownBytes += bytes;
      receivedBytes += bytes;
    };
    const work = (): Promise<HttpResponse> => perform(message, parsed, onBytes);
    const isResumable = message.headers['tus-resumable'] !== undefined;
    const fault = faultHook({ operation, bucket, key });
    const made = await answerWithFault(fault, message, clock, work, faultAnswer, discard).catch(
      (error: unknown) => errorAnswer(error, isResumable),
    );
    onRequest({ operation, bucket, key, status: made?.status ?? 0, receivedBytes: ownBytes });
    return made;
  };

  const handle = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.setHeader('date', new Date(clock.epochMs()).toUTCString());
    const made = await answer(message);
    if (made !== undefined) await sendResponse(made, message, response);
  };

  return {
    serve(message, response) {
      // A connection that breaks is its client's affair, who sees it too.
      handle(message, response).catch(() => void response.destroy());
    },
    setFaults: (given) => void (faults = parse(given)),
    getStats: () => ({ requests: { ...requests }, receivedBytes, objects: store.objects.size }),
    close: () => store.close(),
  };
}

interface ParsedRequest {
  readonly method: string;
  readonly prefix: string;
  readonly query: URLSearchParams;
  readonly route: Route;
}

function parseRequest({ method = 'GET', url = '/' }: IncomingMessage): ParsedRequest | undefined {
  const mark = url.indexOf('?');
  const raw = mark === -1 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark === -1 ? '' : url.slice(mark));
  const prefix = raw.startsWith(`${PREFIX}/`) ? PREFIX : '';
  let path: string;
  try {
    path = decodeURIComponent(raw.slice(prefix.length + 1));
  } catch {
    return undefined;
  }
  const route = routeOf(method, path);
  return route === undefined ? undefined : { method, prefix, query, route };
}

/** @throws SupabaseError */
function roleOf({ headers }: IncomingMessage, secret: string, nowMs: number): StorageRole {
  const { authorization, apikey } = headers;
  const bearer = /^Bearer\s+(.+)$/i.exec(authorization ?? '')?.[1];
  const token = bearer ?? (Array.isArray(apikey) ? apikey[0] : apikey);
  if (token === undefined) {
    throw supabaseError('InvalidRequest', `headers must have required property 'authorization'`);
  }
  const claims = verifyToken(token, secret, nowMs);
  if (typeof claims === 'string') throw supabaseError('AccessDenied', claims);
  const role = ROLES.find((known) => known === claims['role']);
  if (role === undefined)
    throw supabaseError('AccessDenied', 'the role of the token does not exist');
  return role;
}

/** Statuses that the real server sends as they are; all others are 400 outside. */
const PLAIN_STATUSES = new Set([500, 544]);

function errorAnswer(error: unknown, isResumable: boolean): HttpResponse {
  const refusal =
    error instanceof SupabaseError ? error : supabaseError('InternalError', String(error));
  const { statusCode, reason, message } = refusal;
  if (isResumable) {
    const headers = { 'tus-resumable': '1.0.0', 'content-type': 'text/plain' };
    return { status: statusCode, headers, body: `${message}\n` };
  }
  const status = PLAIN_STATUSES.has(statusCode) ? statusCode : 400;
  const body = { statusCode: String(statusCode), code: reason, error: refusal.error, message };
  return jsonResponse(body, status);
}

function faultAnswer({ status, code, retryAfterS }: ErrorFault): HttpResponse {
  const message = 'A fault of the stage.';
  const answer = jsonResponse({ statusCode: String(status), code, error: code, message }, status);
  if (retryAfterS === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(retryAfterS) } };
}

function unknownRoute({ method, url }: IncomingMessage): HttpResponse {
  const message = `Route ${method}:${url} not found`;
  return jsonResponse({ message, error: 'Not Found', statusCode: 404 }, 404);
}

function discard({ body }: HttpResponse): void {
  if (body !== undefined && typeof body !== 'string') body.destroy();
}
