import type { BoundValue } from '@holdfast/protocols/postgres';

/** One row, column by column. The type of a column is that of its first value that is not null. */
export type FakeRow = Readonly<Record<string, string | number | bigint | boolean | null>>;

/** When a reply arrives, and how much of it. */
export interface Delivery {
  /** Milliseconds of the server's clock before the first byte. Default 0. */
  delayMs?: number;
  /**
   * The connection dies after that many bytes of what answers the client's message, ReadyForQuery
   * included. Default: it does not.
   */
  cutAfterBytes?: number;
  /** How it dies. Default `fin`. */
  ending?: 'fin' | 'reset';
}

/** What a statement is answered with. `never`: nothing, until it is cancelled. */
export type Reply =
  | (Delivery & { rows: readonly FakeRow[]; command?: string })
  /** A command tag, such as `INSERT 0 1`; those of transactions move the session's status. */
  | (Delivery & { command: string })
  /** A SQLSTATE; `FATAL` ends the connection behind it. */
  | (Delivery & { error: string; message?: string; severity?: 'ERROR' | 'FATAL' })
  | 'never';

/** One statement as it came in. */
export interface ReceivedStatement {
  readonly sql: string;
  /** What was bound to it; none in the simple protocol. */
  readonly values: readonly BoundValue[];
  /** The number of the session, from 1 in the order of connecting. */
  readonly session: number;
  /** Aborts when the statement is cancelled or its connection ends. */
  readonly signal: AbortSignal;
}

/** A reply, or what finds it; `undefined` leaves the question to the next line of the script. */
export type ScriptedReply =
  | Reply
  | ((question: ReceivedStatement) => Reply | undefined | PromiseLike<Reply | undefined>);

/** A pattern, or a statement without regard to case, blanks and the closing semicolon. */
export type Match = RegExp | string;

export type ScriptLine = readonly [match: Match, answer: ScriptedReply];

/** The lines that answer statements, the newest first. */
export class Script {
  readonly #lines: ScriptLine[];

  constructor(lines: readonly ScriptLine[]) {
    this.#lines = lines.map(([match, answer]) => [folded(match), answer]);
  }

  /** Returns what takes the line out again. */
  add(match: Match, answer: ScriptedReply): () => void {
    const line: ScriptLine = [folded(match), answer];
    this.#lines.unshift(line);
    return () => {
      const at = this.#lines.indexOf(line);
      if (at !== -1) this.#lines.splice(at, 1);
    };
  }

  async answer(question: ReceivedStatement): Promise<Reply | undefined> {
    const sql = foldedSql(question.sql);
    for (const [match, answer] of this.#lines.slice()) {
      const isMeant = typeof match === 'string' ? match === sql : question.sql.search(match) !== -1;
      if (!isMeant) continue;
      const reply = typeof answer === 'function' ? await answer(question) : answer;
      if (reply !== undefined) return reply;
    }
    return undefined;
  }
}

function folded(match: Match): Match {
  return typeof match === 'string' ? foldedSql(match) : match;
}

/** A statement without what makes no difference to its meaning, unless it quotes. */
export function foldedSql(sql: string): string {
  return sql.replaceAll(/\s+/g, ' ').replace(/;\s*$/, '').trim().toLowerCase();
}
