import type { QueryResult, Statement } from '../database.ts';
import type { Token } from '../connection/token.ts';
import {
  type LogPosition,
  PositionReader,
  type TimelineStart,
  UNKNOWN_LSN,
  hasReplayed,
  isLostBy,
  parseLsn,
} from '../lsn.ts';

/**
 * What a read requires of the server behind its connection. One name may lead to several servers, so what was learned
 * of one of them holds for no other connection.
 */
export type LinkRequirement =
  | { readonly kind: 'none' }
  /** A primary, on this timeline or a later one. */
  | { readonly kind: 'primary'; readonly timeline: number; readonly seen?: Token | undefined }
  | {
      readonly kind: 'replayed';
      readonly token: Token;
      readonly position: bigint;
      /** The position whose loss a primary must not have. */
      readonly seen?: Token | undefined;
    };

/** A position that a session has seen, and the timeline that left it out. */
export interface LostPosition extends TimelineStart {
  readonly token: Token;
}

/** The server behind the connection does not meet the requirement of the read. */
export class StaleLink extends Error {
  readonly host: string;
  readonly requirement: LinkRequirement;

  constructor(host: string, requirement: LinkRequirement) {
    super(`the connection to ${host} does not lead to a server that is fresh enough`);
    this.host = host;
    this.requirement = requirement;
  }
}

const WHO: Statement = {
  text: 'select pg_backend_pid() as pid, pg_is_in_recovery() as standby',
};

/**
 * What one connection knows of its server. A primary stays one while the connection lives, and replay never goes back.
 * Behind a pooler each transaction may run on another server, so there nothing is remembered.
 */
export class LinkState {
  readonly #backendPid: number;
  readonly #positions = new PositionReader();
  #isIdentified = false;
  #isDirect = false;
  #isStandby: boolean | undefined;
  #position: LogPosition | undefined;
  #recovered: bigint | undefined;

  constructor(backendPid: number) {
    this.#backendPid = backendPid;
  }

  /** It is known whether it is direct, and which statements its server permits. */
  get isIdentified(): boolean {
    return this.#isIdentified;
  }

  identification(): Statement[] {
    return [WHO, ...this.#positions.statements()];
  }

  /** The process that replies is the one that the connection was opened to. */
  get isDirect(): boolean {
    return this.#isDirect;
  }

  /** A primary that nothing needs to be asked about, except its position. */
  get isPrimary(): boolean {
    return this.#isDirect && this.#isStandby === false;
  }

  meets(requirement: LinkRequirement): boolean {
    if (requirement.kind === 'none') return true;
    if (this.#isStandby === undefined) return false;
    const position = this.#position;
    const { kind } = requirement;
    if (kind === 'replayed' && hasReplayed(position, requirement.token, requirement.position)) {
      return true;
    }
    const timeline = kind === 'replayed' ? requirement.token.timeline : requirement.timeline;
    if (this.#isStandby || this.lostPosition(requirement) !== undefined) return false;
    return position === undefined || position.timeline >= timeline;
  }

  /** The position of the requirement, if this primary's timeline is known to have begun before it. */
  lostPosition(requirement: LinkRequirement): LostPosition | undefined {
    const position = this.#position;
    const token = requirement.kind === 'none' ? undefined : requirement.seen;
    if (token === undefined || position === undefined || this.#isStandby !== false)
      return undefined;
    const start = { timeline: position.timeline, began: this.#recovered ?? position.position };
    return isLostBy(start, token) ? { ...start, token } : undefined;
  }

  /** The statements that find out whether a requirement is met; none if that is known. */
  checks(requirement: LinkRequirement): Statement[] {
    if (requirement.kind === 'none' || (this.#isDirect && this.meets(requirement))) return [];
    return this.identification();
  }

  /** The statements that read the position after a read. */
  positions(): Statement[] {
    return this.#positions.statements(this.#isDirect ? this.#isStandby : undefined);
  }

  /** Takes the replies to {@link checks}. */
  checked(
    statements: readonly Statement[],
    [who, ...settled]: readonly PromiseSettledResult<QueryResult>[],
  ): void {
    if (who === undefined) return;
    this.#isIdentified = [who, ...settled].every(({ status }) => status === 'fulfilled');
    const row = who.status === 'fulfilled' ? who.value.rows[0] : undefined;
    this.#isDirect = row?.['pid'] === this.#backendPid;
    this.#isStandby = row?.['standby'] === false ? false : row?.['standby'] === true || undefined;
    this.#position = undefined;
    this.#recovered = undefined;
    this.#take(statements.slice(1), settled);
  }

  /** Takes the replies to {@link positions}. */
  read(
    statements: readonly Statement[],
    settled: readonly PromiseSettledResult<QueryResult>[],
  ): Token {
    const [only] = settled;
    // Without a row the server's role is another one now: it was promoted.
    const isPromoted = only?.status === 'fulfilled' && only.value.rows.length === 0;
    if (this.#isDirect && settled.length === 1 && isPromoted) this.#isIdentified = false;
    return this.#take(statements, settled);
  }

  #take(
    statements: readonly Statement[],
    settled: readonly PromiseSettledResult<QueryResult>[],
  ): Token {
    const found = this.#positions.read(statements, settled);
    if (found === undefined) return UNKNOWN_LSN;
    this.advance(found.token);
    this.#recovered = found.recovered;
    return found.token;
  }

  /** The server's log has reached this position. */
  advance({ timeline, lsn }: Token): void {
    const position = parseLsn(lsn);
    if (position !== undefined && timeline > 0) this.#position = { timeline, position };
  }
}
