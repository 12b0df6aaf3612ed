import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { sleep } from '@holdfast/resilience/foundation';
import { type RefusalFault, answerUnder } from '../s3/faults.ts';
import { type HttpAnswer, listenOn, sendAnswer } from '../s3/listen.ts';
import { ROLES, type StorageRole } from './access.ts';
import { type Disturbances, type SupabaseDisturbances, readDisturbances } from './disturbances.ts';
import { jsonAnswer } from './exchange.ts';
import { signToken, verifyToken } from './jwt.ts';
import { type SupabaseStorageServerOptions, readSupabaseOptions } from './options.ts';
import { SupabaseRefusalError, refuse } from './refusal.ts';
import { type Route, routeOf } from './routes.ts';
import { openSupabaseStore } from './store.ts';

export interface SupabaseStorageStats {
  /** Requests by operation, also those that were refused or struck by a fault. */
  readonly requests: Readonly<Record<string, number>>;
  /** Bytes of bodies that were read, forms included. */
  readonly receivedBytes: number;
  readonly objects: number;
}

/** A Supabase Storage of this process. */
export interface SupabaseStorageServer {
  /** What `createClient` takes; the API itself lies below `/storage/v1`, and at the root as well. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly jwtSecret: string;
  readonly serviceRoleKey: string;
  readonly anonKey: string;
  /** Signs a token with the server's secret, such as `{ role: 'authenticated', sub, exp }`. */
  signToken(claims: Readonly<Record<string, unknown>>): string;
  /** Changes what the world around the server is like; what is not named is as at the opening. */
  disturb(disturbances: SupabaseDisturbances): void;
  getStats(): SupabaseStorageStats;
  /** Ends every connection and stops listening. Calling it again changes nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const PREFIX = '/storage/v1';

/**
 * Starts a Supabase Storage in this process, for tests: it answers as the real server was measured to,
 * with its statuses, codes and peculiarities.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createSupabaseStorageServer(
  options: SupabaseStorageServerOptions = {},
): Promise<SupabaseStorageServer> {
  const settled = readSupabaseOptions(options);
  const { clock, faults, jwtSecret, policies, databaseTimeoutMs } = settled;
  const store = await openSupabaseStore(settled.directory);
  const read = (given: SupabaseDisturbances): Disturbances =>
    readDisturbances('disturb', { policies, ...given });
  let disturbances = read({});
  const requests: Record<string, number> = {};
  let receivedBytes = 0;

  const onBytes = (bytes: number): void => void (receivedBytes += bytes);
  const work = async (message: IncomingMessage, asked: Asked): Promise<HttpAnswer> => {
    const { method, prefix, query, route } = asked;
    const role = route.isOpen ? 'anon' : roleOf(message, jwtSecret, clock.epochMs());
    if (route.operation !== 'status') await reachDatabase();
    const { bucket, key, isOpen } = route;
    const request = { message, method, prefix, query, bucket, key, role, isOpen };
    const surroundings = { store, settings: settled, disturbances, clock, onBytes };
    return route.perform({ ...request, ...surroundings });
  };

  const reachDatabase = async (): Promise<void> => {
    if (disturbances.database === 'down') throw refuse('InternalError');
    if (disturbances.database === 'up') return;
    await sleep(clock, databaseTimeoutMs);
    throw refuse('DatabaseTimeout');
  };

  const answer = async (message: IncomingMessage): Promise<HttpAnswer | undefined> => {
    const asked = readAsked(message);
    if (asked === undefined) return unknownRoute(message);
    const { operation, bucket, key } = asked.route;
    requests[operation] = (requests[operation] ?? 0) + 1;
    const fault = faults({ operation, bucket, key });
    const well = (): Promise<HttpAnswer> => work(message, asked);
    return answerUnder(fault, message, clock, well, faultAnswer, discard);
  };

  const handle = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const isResumable = message.headers['tus-resumable'] !== undefined;
    const made = await answer(message).catch((error: unknown) => errorAnswer(error, isResumable));
    if (made !== undefined) await sendAnswer(made, message, response);
  };

  const server = createServer((message, response) => {
    // A connection that breaks is its client's affair, who sees it too.
    handle(message, response).catch(() => void response.destroy());
  });
  const listening = await listenOn(server, settled);
  const close = async (): Promise<void> => {
    await listening.close();
    store.close();
  };
  const keyOf = (role: StorageRole): string => signToken({ role, iss: 'holdfast' }, jwtSecret);
  return {
    host: listening.host,
    port: listening.port,
    url: listening.url,
    jwtSecret,
    serviceRoleKey: keyOf('service_role'),
    anonKey: keyOf('anon'),
    signToken: (claims) => signToken(claims, jwtSecret),
    disturb: (given) => void (disturbances = read(given)),
    getStats: () => ({ requests: { ...requests }, receivedBytes, objects: store.objects.size }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Asked {
  readonly method: string;
  readonly prefix: string;
  readonly query: URLSearchParams;
  readonly route: Route;
}

function readAsked({ method = 'GET', url = '/' }: IncomingMessage): Asked | undefined {
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

/** @throws SupabaseRefusalError */
function roleOf({ headers }: IncomingMessage, secret: string, nowMs: number): StorageRole {
  const { authorization, apikey } = headers;
  const bearer = /^Bearer\s+(.+)$/i.exec(authorization ?? '')?.[1];
  const token = bearer ?? (Array.isArray(apikey) ? apikey[0] : apikey);
  if (token === undefined) {
    throw refuse('InvalidRequest', `headers must have required property 'authorization'`);
  }
  const claims = verifyToken(token, secret, nowMs);
  if (typeof claims === 'string') throw refuse('AccessDenied', claims);
  const role = ROLES.find((known) => known === claims['role']);
  if (role === undefined) throw refuse('AccessDenied', 'the role of the token does not exist');
  return role;
}

/** Statuses that the real server sends as they are; all others are 400 outside. */
const PLAIN_STATUSES = new Set([500, 544]);

function errorAnswer(error: unknown, isResumable: boolean): HttpAnswer {
  const refusal =
    error instanceof SupabaseRefusalError ? error : refuse('InternalError', String(error));
  const { statusCode, reason, message } = refusal;
  if (isResumable) {
    const headers = { 'tus-resumable': '1.0.0', 'content-type': 'text/plain' };
    return { status: statusCode, headers, body: `${message}\n` };
  }
  const status = PLAIN_STATUSES.has(statusCode) ? statusCode : 400;
  const body = { statusCode: String(statusCode), code: reason, error: refusal.error, message };
  return jsonAnswer(body, status);
}

function faultAnswer({ status, code, retryAfterS }: RefusalFault): HttpAnswer {
  const message = 'A fault of the stage.';
  const answer = jsonAnswer({ statusCode: String(status), code, error: code, message }, status);
  if (retryAfterS === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(retryAfterS) } };
}

function unknownRoute({ method, url }: IncomingMessage): HttpAnswer {
  const message = `Route ${method}:${url} not found`;
  return jsonAnswer({ message, error: 'Not Found', statusCode: 404 }, 404);
}

function discard({ body }: HttpAnswer): void {
  if (body !== undefined && typeof body !== 'string') body.destroy();
}
