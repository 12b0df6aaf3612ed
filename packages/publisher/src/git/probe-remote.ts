import { type Clock, parseRetryAfter, withDeadline } from '@holdfast/foundation';
import { type GitCredential, basicAuthorization } from './git-command.ts';

/** Why a remote does not take a push now. git itself reports most of these as one and the same failure. */
export type RemoteFailure =
  | { readonly kind: 'denied'; readonly status: 401 | 403 }
  | { readonly kind: 'missing' }
  | { readonly kind: 'rate-limited'; readonly retryAfterMs: number | null }
  | {
      readonly kind: 'unavailable';
      readonly status: number;
      readonly retryAfterMs: number | null;
    }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'unreachable'; readonly reason: string };

/** What a remote answers: its branches with their commits, or why not. */
export type RemoteProbe =
  | { readonly kind: 'reachable'; readonly refs: ReadonlyMap<string, string> }
  | RemoteFailure;

/** How a remote is asked. */
interface ProbeDeps {
  /** The URL without credentials. */
  readonly url: string;
  readonly credential: GitCredential | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

const LENGTH_DIGITS = 4;
const MAX_ADVERTISEMENT_BYTES = 16_777_216;

/**
 * Asks a remote for its refs as a push would, by HTTP: the status, a Retry-After and a silence keep their meaning.
 * Rejects only with the reason of the signal.
 */
export async function probeRemote({
  url,
  credential,
  timeoutMs,
  clock,
  signal,
}: ProbeDeps): Promise<RemoteProbe> {
  const late = new Error('the remote did not answer in time');
  try {
    return await withDeadline(
      clock,
      timeoutMs,
      signal,
      () => late,
      async (limit) => {
        const response = await fetch(`${url}/info/refs?service=git-receive-pack`, {
          signal: limit,
          redirect: 'error',
          headers:
            credential === undefined ? {} : { authorization: basicAuthorization(credential) },
        });
        const body = Buffer.from(await response.arrayBuffer());
        return response.ok ? refsProbe(body) : failureOf(response, clock);
      },
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (error === late) return { kind: 'timeout' };
    return { kind: 'unreachable', reason: causeOf(error) };
  }
}

function failureOf({ status, headers }: Response, clock: Clock): RemoteFailure {
  const header = headers.get('retry-after');
  const retryAfterMs = header === null ? null : (parseRetryAfter(header, clock.epochMs()) ?? null);
  if (status === 401 || status === 403) return { kind: 'denied', status };
  if (status === 404) return { kind: 'missing' };
  if (status === 429) return { kind: 'rate-limited', retryAfterMs };
  return { kind: 'unavailable', status, retryAfterMs };
}

function refsProbe(body: Buffer): RemoteProbe {
  const refs = body.length > MAX_ADVERTISEMENT_BYTES ? undefined : parseRefs(body);
  if (refs === undefined) return { kind: 'unreachable', reason: 'its answer is not that of git' };
  return { kind: 'reachable', refs };
}

/** Parses pkt-lines of `<commit> <ref>\0<capabilities>`; `undefined` for what is not such an answer. */
export function parseRefs(body: Buffer): ReadonlyMap<string, string> | undefined {
  const refs = new Map<string, string>();
  let hasService = false;
  for (let at = 0; at < body.length;) {
    const digits = body.toString('latin1', at, at + LENGTH_DIGITS);
    if (!/^[0-9a-f]{4}$/i.test(digits)) return undefined;
    const length = Number.parseInt(digits, 16);
    if (length === 0) {
      at += LENGTH_DIGITS;
      continue;
    }
    if (length < LENGTH_DIGITS || at + length > body.length) return undefined;
    const line = body.toString('utf8', at + LENGTH_DIGITS, at + length).trimEnd();
    at += length;
    if (line.startsWith('# service=')) hasService = true;
    const [, commit, ref] = /^([0-9a-f]{40,64}) ([^\0]+)/.exec(line) ?? [];
    if (commit !== undefined && ref !== undefined) refs.set(ref, commit);
  }
  return hasService ? refs : undefined;
}

function causeOf(error: unknown): string {
  const cause: unknown = Object(error).cause;
  return String(Object(cause).code ?? Object(error).message ?? error);
}
