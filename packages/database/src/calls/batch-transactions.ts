import {
  ConnectionFailure,
  type PipelinedResult,
  type StatementReply,
} from '../connection/connection.ts';
import { leavesCommitUnknown } from '../connection/sql-state.ts';
import { isRollbackToSavepoint } from '../connection/transaction-control.ts';

type Result = PromiseSettledResult<unknown> & Pick<PipelinedResult<never>, 'reply'>;

/**
 * What became of a transaction. `kept`: it was committed or prepared, or rolled back on request. `failed`: rolled back
 * instead of committed. `unknown`: the error of its end does not tell.
 */
type Fate = 'open' | 'kept' | 'failed' | 'unknown';

/** A transaction that the texts of a batch took part in. */
interface BatchTransaction {
  fate: Fate;
  /** Why its end is unknown. */
  reason?: unknown;
}

/** What a text has done in a transaction: only begun or only ended it, or more. */
type Part = 'began' | 'ended' | 'worked';
type Parts = Map<BatchTransaction, Part>;

const BEGINS = /^(?:BEGIN|START TRANSACTION)$/;
const ENDS = /^(?:COMMIT|ROLLBACK|PREPARE TRANSACTION)$/;

/** Follows the transactions through the replies to a batch, by the command tags and the status after each text. */
class TransactionTrail {
  readonly partsOf: readonly Parts[];
  #open: BatchTransaction | undefined;
  #hasFailed = false;

  constructor(replies: readonly Result[], texts: readonly string[]) {
    this.partsOf = replies.map((each, at) => {
      const parts: Parts = new Map();
      if (each.reply !== undefined) this.#follow(each, each.reply, texts[at] ?? '', parts);
      return parts;
    });
  }

  #follow(result: Result, { commands, status }: StatementReply, text: string, parts: Parts): void {
    for (const [at, tag] of commands.entries()) {
      const isPartial = tag === 'ROLLBACK' && isRollbackToSavepoint({ commands, status, text }, at);
      if (ENDS.test(tag) && !isPartial) this.#end(tag, parts);
      else {
        if (isPartial) this.#hasFailed = false;
        this.#takePart(parts, BEGINS.test(tag) ? 'began' : 'worked');
      }
    }
    if (status === 'I') this.#closeAfter(result);
    // `and chain` begins one without a tag of its own.
    else if (this.#open === undefined) this.#takePart(parts, 'began');
    this.#hasFailed = status === 'E';
  }

  #takePart(parts: Parts, part: Part): void {
    this.#open ??= { fate: 'open' };
    const before = parts.get(this.#open) ?? part;
    parts.set(this.#open, before === part ? part : 'worked');
  }

  #end(tag: string, parts: Parts): void {
    if (this.#open !== undefined) {
      this.#takePart(parts, 'ended');
      this.#open.fate = tag === 'ROLLBACK' && this.#hasFailed ? 'failed' : 'kept';
    }
    this.#open = undefined;
    this.#hasFailed = false;
  }

  /** Without a tag a transaction ends with its text, or by the error of its COMMIT. */
  #closeAfter(result: Result): void {
    if (this.#open === undefined) return;
    const failure = isExecuted(result) || result.status !== 'rejected' ? undefined : result.reason;
    const isUnknown = failure instanceof ConnectionFailure && leavesCommitUnknown(failure.cause);
    this.#open.fate = failure === undefined ? 'kept' : isUnknown ? 'unknown' : 'failed';
    this.#open.reason = failure;
    this.#open = undefined;
  }
}

/** What became of a text that the server has executed, though not of its transaction. */
export interface UndoneText {
  readonly at: number;
  readonly commands: readonly string[];
  readonly fate: Exclude<Fate, 'kept'>;
  readonly reason: unknown;
}

/**
 * The texts that the server has executed in transactions which were not committed. What the batch rolls back itself, by
 * a `rollback` where none had failed, or to a savepoint, is not among them.
 * @param isCut replies are missing, so a transaction that is open may have been committed.
 */
export function undoneTexts(
  replies: readonly Result[],
  texts: readonly string[],
  isCut: boolean,
): UndoneText[] {
  if (replies.every(({ reply }) => reply === undefined || reply.status === 'I')) return [];
  const { partsOf } = new TransactionTrail(replies, texts);
  return replies.flatMap((result, at) => {
    const parts = partsOf[at] ?? (new Map() satisfies Parts);
    if (result.reply === undefined) return [];
    if (!isExecuted(result)) {
      const isKept = (fate: Fate): boolean =>
        fate === 'kept' || fate === 'unknown' || (fate === 'open' && isCut);
      if ([...parts.keys()].some(({ fate }) => isKept(fate))) markSaved(result, result.reply);
      return [];
    }
    const undone = [...parts].find(([transaction, part]) => isUndone(transaction, part, parts));
    if (undone === undefined) return [];
    const [{ fate, reason }] = undone;
    if (fate === 'kept') return [];
    return [{ at, commands: result.reply.commands, fate, reason }];
  });
}

function isUndone(transaction: BatchTransaction, part: Part, parts: Parts): boolean {
  if (transaction.fate === 'kept') return false;
  if (transaction.fate === 'open' || part === 'worked') return true;
  // To begin or to end it is not what the text was for.
  const others = [...parts].filter(([other]) => other !== transaction);
  return part === 'ended' ? others.every(([, each]) => each !== 'worked') : others.length === 0;
}

/** A text that failed after a savepoint of its own is kept in part, if the batch goes on from there and commits. */
function markSaved(result: Result, { commands }: StatementReply): void {
  if (result.status !== 'rejected' || !(result.reason instanceof ConnectionFailure)) return;
  if (commands.includes('SAVEPOINT')) result.reason.mayHaveCommitted = true;
}

/** Whether the server has executed the statement, also if its answer could not be parsed. */
function isExecuted(result: PromiseSettledResult<unknown>): boolean {
  if (result.status === 'fulfilled') return true;
  return result.reason instanceof ConnectionFailure && result.reason.kind === 'unparsed';
}
