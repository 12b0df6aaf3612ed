import type { BoundValue } from '@holdfast/protocols/postgres';

/** One row, column by column. The type of a column is that of its first value that is not null. */
export type FakeRow = Readonly<Record<string, string | number | bigint | boolean | null>>;

/** When and how completely a reply is delivered. */
export interface ScriptedDelivery {
  /** Milliseconds of the server's clock before the first byte. Default 0. */
  delayMs?: number;
  /**
   * Closes the connection after that many bytes of the reply to the client's message, including ReadyForQuery.
   * Default: it stays open.
   */
  cutAfterBytes?: number;
  /** How it closes. Default `fin`. */
  ending?: 'fin' | 'reset';
}

/** The reply to a statement. `never`: none until it is cancelled. */
export type FakeReply =
  | (ScriptedDelivery & { rows: readonly FakeRow[]; command?: string })
  /** A command tag, such as `INSERT 0 1`; those of transactions change the session's status. */
  | (ScriptedDelivery & { command: string })
  /** A SQLSTATE; `FATAL` closes the connection after it. */
  | (ScriptedDelivery & { error: string; message?: string; severity?: 'ERROR' | 'FATAL' })
  | 'never';

/** One statement as it was received. */
export interface ReceivedStatement {
  readonly sql: string;
  /** The bound parameters; none in the simple protocol. */
  readonly values: readonly BoundValue[];
  /** The number of the session, from 1 in the order of connecting. */
  readonly session: number;
  /** Aborts when the statement is cancelled or its connection ends. */
  readonly signal: AbortSignal;
}

/** A reply, or a function that returns one; `undefined` passes the statement to the next matching line. */
export type ScriptedReply =
  | FakeReply
  | ((statement: ReceivedStatement) => FakeReply | undefined | PromiseLike<FakeReply | undefined>);

/** A pattern, or a statement compared without case, whitespace and the closing semicolon. */
export type Match = RegExp | string;

/** A statement to match, and the reply to it. */
export type ScriptLine = readonly [match: Match, reply: ScriptedReply];

/** The script's lines, the newest first. */
export class Script {
  readonly #lines: ScriptLine[];

  constructor(lines: readonly ScriptLine[]) {
    this.#lines = lines.map(([match, reply]) => [normalize(match), reply]);
  }

  /** @returns a function that removes the line. */
  add(match: Match, reply: ScriptedReply): () => void {
    const line: ScriptLine = [normalize(match), reply];
    this.#lines.unshift(line);
    return () => {
      const at = this.#lines.indexOf(line);
      if (at !== -1) this.#lines.splice(at, 1);
    };
  }

  async replyTo(statement: ReceivedStatement): Promise<FakeReply | undefined> {
    const sql = normalizeSql(statement.sql);
    for (const [match, scripted] of this.#lines.slice()) {
      const isMatch =
        typeof match === 'string' ? match === sql : statement.sql.search(match) !== -1;
      if (!isMatch) continue;
      const reply = typeof scripted === 'function' ? await scripted(statement) : scripted;
      if (reply !== undefined) return reply;
    }
    return undefined;
  }
}

function normalize(match: Match): Match {
  return typeof match === 'string' ? normalizeSql(match) : match;
}

/** A statement without insignificant differences; quoted text is not preserved. */
export function normalizeSql(sql: string): string {
  return sql.replaceAll(/\s+/g, ' ').replace(/;\s*$/, '').trim().toLowerCase();
}
