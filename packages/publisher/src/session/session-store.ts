import { StaleFenceError, SiteStoreError, UnknownSessionError } from '../errors.ts';
import type { SiteStore, SiteCallOptions } from '../publish/site-store.ts';
import type { EarlierWork } from './edit-input.ts';
import type { EditStage } from './session-log.ts';

/** An edit that could not reach the site, with all that is needed to try again. */
export interface EditDeadLetter {
  readonly stage: EditStage;
  readonly reason: string;
  readonly atMs: number;
  readonly instruction: string;
  readonly number: number;
  /** What it had done, the answer that was paid for included: used again by a redrive. */
  readonly earlier: EarlierWork | null;
}

/** A session as it stands. */
export interface SessionState {
  readonly sessionId: string;
  readonly clientId: string;
  readonly branch: string;
  /** `waiting`: for a credential, a permission or a network, and tried again by itself. */
  readonly status: 'running' | 'waiting' | 'published' | 'superseded' | 'conflict' | 'failed';
  readonly stage: EditStage;
  /** Edits so far, this one included. */
  readonly edits: number;
  readonly runId: string;
  /** Fence of the run that wrote last. */
  readonly fence: string;
  readonly lastError?: string | undefined;
  readonly warnings: readonly string[];
  /** The newest commit of the session, pushed or not. */
  readonly commit?: string | undefined;
  readonly release?: string | undefined;
  readonly sideBranch?: string | undefined;
  readonly deadLetters: readonly EditDeadLetter[];
}

/** What a run changes of its session. */
export type SessionChange = Partial<
  Omit<SessionState, 'sessionId' | 'clientId' | 'branch' | 'edits' | 'runId' | 'fence'>
>;

const MAX_ATTEMPTS = 20;
const MAX_WARNINGS = 100;
const MAX_DEAD_LETTERS = 100;
const PREFIX = 'sessions/';
const HEADERS = { contentType: 'application/json', cacheControl: 'no-store' };

/** The states of all sessions, in a store that several workers share. */
export class SessionStates {
  readonly #store: SiteStore;

  /** @param store another one than those of the sites: a site that is down must not hide its sessions */
  constructor(store: SiteStore) {
    this.#store = store;
  }

  /** @throws UnknownSessionError; SiteStoreError */
  async read(sessionId: string, options?: SiteCallOptions): Promise<SessionState> {
    const found = await this.#find(sessionId, options);
    if (found === undefined) throw new UnknownSessionError(sessionId);
    return found.state;
  }

  /** All sessions. @throws SiteStoreError */
  async list(options?: SiteCallOptions): Promise<readonly SessionState[]> {
    const keys = await this.#store.list(PREFIX, options);
    const objects = await Promise.all(keys.map((key) => this.#store.get(key, options)));
    return objects.filter((object) => object !== undefined).map(({ body }) => parse(body));
  }

  /** Creates the session, or changes it, by a condition on what it was. @throws SiteStoreError */
  async replace(
    sessionId: string,
    change: (before: SessionState | undefined) => SessionState,
    options?: SiteCallOptions,
  ): Promise<SessionState> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const found = await this.#find(sessionId, options);
      const state = bounded(change(found?.state));
      const condition =
        found === undefined ? ({ ifAbsent: true } as const) : { ifMatch: found.etag };
      const body = Buffer.from(JSON.stringify(state));
      const written = await this.#store.put(keyOf(sessionId), body, HEADERS, condition, options);
      if (written !== 'conflict') return state;
    }
    throw new SiteStoreError('conflict', `the session ${sessionId} was changed all the time`);
  }

  /**
   * Changes a session on behalf of a run. A run that is no longer the newest of its session changes nothing.
   * @throws StaleFenceError when another worker has taken over the run; UnknownSessionError; SiteStoreError
   */
  async update(
    { sessionId, runId, fence }: { sessionId: string; runId: string; fence: bigint },
    change: (before: SessionState) => SessionChange,
    options?: SiteCallOptions,
  ): Promise<SessionState> {
    return this.replace(
      sessionId,
      (before) => {
        if (before === undefined) throw new UnknownSessionError(sessionId);
        if (before.runId !== runId) return before;
        if (BigInt(before.fence) > fence) {
          throw new StaleFenceError(`session ${sessionId}`, fence, BigInt(before.fence));
        }
        return { ...before, ...change(before), fence: String(fence) };
      },
      options,
    );
  }

  async #find(
    sessionId: string,
    options: SiteCallOptions | undefined,
  ): Promise<{ readonly state: SessionState; readonly etag: string } | undefined> {
    const object = await this.#store.get(keyOf(sessionId), options);
    return object && { state: parse(object.body), etag: object.etag };
  }
}

function keyOf(sessionId: string): string {
  return `${PREFIX}${sessionId}.json`;
}

function parse(body: Buffer): SessionState {
  return JSON.parse(body.toString('utf8'));
}

function bounded(state: SessionState): SessionState {
  return {
    ...state,
    warnings: state.warnings.slice(-MAX_WARNINGS),
    deadLetters: state.deadLetters.slice(-MAX_DEAD_LETTERS),
  };
}
