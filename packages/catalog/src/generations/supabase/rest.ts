import { type Outcome, propertyOf, withDeadline } from '@holdfast/foundation';
import { CatalogStoreError, type StoreFailure } from '../errors.ts';
import { reasonOfSqlState } from '../sql-reasons.ts';
import type { SupabaseStoreSettings } from './options.ts';

interface RestCall {
  /** Below `/rest/v1/`, with its query. */
  readonly path: string;
  /** Sent with POST; without it the call is a GET. */
  readonly body?: unknown;
  /** What did not happen if it fails, such as `did not publish`. */
  readonly seen: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const STATUS_REASONS: Readonly<Record<number, StoreFailure>> = {
  401: 'unreachable',
  403: 'unreachable',
  408: 'timeout',
  413: 'full',
  502: 'unreachable',
  503: 'unreachable',
  504: 'timeout',
  507: 'full',
};

/** From these codes on PostgREST names functions and tables that it does not know. */
const UNKNOWN_NAMES: ReadonlySet<unknown> = new Set(['PGRST202', 'PGRST205', '42883', '42P01']);

/** What an answer of PostgREST says of a failed call. */
function failureOf(
  settings: SupabaseStoreSettings,
  { seen }: RestCall,
  status: number,
  body: unknown,
): CatalogStoreError {
  const code = propertyOf(body, 'code');
  const message = propertyOf(body, 'message');
  const said = typeof message === 'string' ? message.slice(0, 200) : 'no message';
  const hint = UNKNOWN_NAMES.has(code) ? '; run supabaseSchemaSql() as a migration first' : '';
  const reason = typeof code === 'string' ? reasonOfSqlState(code) : undefined;
  // A gateway that gave up does not know what became of the call behind it.
  const outcome: Outcome =
    status === 502 || status === 504 || status === 408 ? 'unknown' : 'not-applied';
  return new CatalogStoreError(
    settings.name,
    reason ?? STATUS_REASONS[status] ?? 'refused',
    `${seen}: status ${status}, ${said}${hint}`,
    { outcome },
  );
}

/**
 * One call of PostgREST; what it answers, parsed.
 * @throws CatalogStoreError, with outcome `unknown` when the answer is lost; the reason of the signal
 */
export async function callRest(settings: SupabaseStoreSettings, call: RestCall): Promise<unknown> {
  const { name, clock, fetch, url, key, schema } = settings;
  const { path, body, seen, timeoutMs, signal } = call;
  const late = (): Error =>
    new CatalogStoreError(name, 'timeout', `${seen} within ${timeoutMs} ms`, {
      outcome: 'unknown',
    });
  const headers: Record<string, string> = { apikey: key, authorization: `Bearer ${key}` };
  if (schema !== 'public') {
    headers[body === undefined ? 'accept-profile' : 'content-profile'] = schema;
  }
  if (body !== undefined) {
    headers['content-type'] = 'application/json';
    headers['prefer'] = 'return=minimal,resolution=ignore-duplicates';
  }
  const ask = async (ends: AbortSignal): Promise<unknown> => {
    const init: RequestInit = {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      signal: ends,
      // The key is for this address alone.
      redirect: 'error',
    };
    if (body !== undefined) init.body = JSON.stringify(body);
    const response = await fetch(`${url}/rest/v1/${path}`, init);
    const text = await response.text();
    const answer = parsed(text);
    if (!response.ok) throw failureOf(settings, call, response.status, answer);
    if (answer === undefined && text !== '') {
      const problem = `${seen}: its answer is no JSON`;
      throw new CatalogStoreError(name, 'refused', problem, { outcome: 'unknown' });
    }
    return answer;
  };
  try {
    return await withDeadline(clock, timeoutMs, signal, late, ask);
  } catch (error) {
    if (error instanceof CatalogStoreError) throw error;
    if (signal?.aborted === true && error === signal.reason) throw error;
    throw new CatalogStoreError(name, 'unreachable', seen, { cause: error, outcome: 'unknown' });
  }
}

function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
