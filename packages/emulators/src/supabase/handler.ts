import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorFault, stall } from '../serving/call-faults.ts';
import type { HttpResponse } from '../serving/http-listener.ts';
import {
  RequestHandler,
  type RequestRecord,
  type RequestStats,
} from '../serving/request-handler.ts';
import { ROLES, type StorageRole } from './access.ts';
import { type SupabaseFaults, parseSupabaseFaults } from './faults.ts';
import { jsonResponse } from './operations/storage-call.ts';
import { verifyToken } from './jwt.ts';
import type { ResolvedSupabaseOptions } from './options.ts';
import { SupabaseError, supabaseError } from './error.ts';
import { type Route, routeOf } from './operations/routes.ts';
import { openSupabaseStore } from './store.ts';

/** What a Supabase Storage holds and has been asked. */
export interface SupabaseStorageStats extends RequestStats {
  readonly objects: number;
}

/** One request and the status of its response. */
export type SupabaseRequestRecord = RequestRecord;

/** A Supabase Storage server without its port. */
export interface SupabaseHandler {
  serve(message: IncomingMessage, response: ServerResponse): void;
  /** @throws InvalidOptionError */
  setFaults(faults: SupabaseFaults): void;
  getStats(): SupabaseStorageStats;
  close(): void;
}

const PREFIX = '/storage/v1';

/**
 * The requests of Supabase Storage without a server: what `createSupabaseStorageServer` listens with.
 * @param onRequest called with each request when its response is known.
 */
export async function openSupabaseHandler(
  options: ResolvedSupabaseOptions,
  onRequest: (request: SupabaseRequestRecord) => void,
): Promise<SupabaseHandler> {
  const { clock, jwtSecret, policies, databaseTimeoutMs } = options;
  const store = await openSupabaseStore(options.directory);
  let faults = parseSupabaseFaults('setFaults', { policies });

  const reachDatabase = async (message: IncomingMessage): Promise<void> => {
    if (faults.database === 'down') throw supabaseError('InternalError');
    if (faults.database === 'up') return;
    await stall(databaseTimeoutMs, message, clock);
    throw supabaseError('DatabaseTimeout');
  };

  const handler = new RequestHandler({
    clock,
    faults: options.faults,
    onRequest,
    parse(message, onBytes) {
      const parsed = parseRequest(message);
      if (parsed === undefined) return unknownRoute(message);
      const { route, ...request } = parsed;
      const { operation, bucket, key, isOpen, perform } = route;
      return {
        call: { operation, bucket, key },
        async run() {
          const role = isOpen ? 'anon' : roleOf(message, jwtSecret, clock.epochMs());
          if (operation !== 'status') await reachDatabase(message);
          const deps = { store, options, faults, clock, onBytes };
          return perform({ message, ...request, bucket, key, role, isOpen, ...deps });
        },
      };
    },
    errorResponse: (error, { headers }) =>
      errorResponse(error, headers['tus-resumable'] !== undefined),
    faultResponse: ({ status, code }: ErrorFault) =>
      jsonError(status, status, code, code, 'An injected fault.'),
  });
  return {
    serve: (message, response) => handler.serve(message, response),
    setFaults: (given) => void (faults = parseSupabaseFaults('setFaults', { policies, ...given })),
    getStats: () => ({ ...handler.getStats(), objects: store.objects.size }),
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

/** The real server sends these statuses as they are, and 400 for all others. */
const PLAIN_STATUSES = new Set([500, 544]);

function errorResponse(error: unknown, isResumable: boolean): HttpResponse {
  const {
    statusCode,
    reason,
    message,
    error: name,
  } = error instanceof SupabaseError ? error : supabaseError('InternalError', String(error));
  if (isResumable) {
    const headers = { 'tus-resumable': '1.0.0', 'content-type': 'text/plain' };
    return { status: statusCode, headers, body: `${message}\n` };
  }
  const status = PLAIN_STATUSES.has(statusCode) ? statusCode : 400;
  return jsonError(status, statusCode, reason, name, message);
}

function jsonError(
  status: number,
  statusCode: number,
  code: string,
  error: string,
  message: string,
): HttpResponse {
  return jsonResponse({ statusCode: String(statusCode), code, error, message }, status);
}

function unknownRoute({ method, url }: IncomingMessage): HttpResponse {
  const message = `Route ${method}:${url} not found`;
  return jsonResponse({ message, error: 'Not Found', statusCode: 404 }, 404);
}
