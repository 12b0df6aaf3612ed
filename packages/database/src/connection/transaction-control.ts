import { TransactionControlError } from '../errors.ts';
import type { Connection, TransactionStatus } from './connection.ts';

/** How a statement ended the transaction it ran in. */
type TransactionEnd = 'committed' | 'rolled back' | 'prepared';

/** The reply to one message inside a transaction. */
interface ControlReply {
  /** The command tags, in order. */
  readonly commands: readonly string[];
  readonly status: TransactionStatus;
  readonly text: string;
}

const WORDS = /\b(?:commit|rollback|abort|end|prepare)\b/i;
/** Literals, quoted names, dollar quotes, comments of a line, the starts of others, and the semicolons between statements. */
const PIECES =
  /(?<![\w$])e'(?:\\[\s\S]|''|[^'\\])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n\r]*|\/\*|;/gi;
const COMMENT_EDGES = /\/\*|\*\//g;
const ENDS =
  /^\s*(?:commit\b|end\b|abort\b|prepare\s+transaction\b|rollback\b(?!\s+(?:(?:work|transaction)\s+)?to\b))/i;
/** Commands that commit in steps of their own, and so may have kept something when they fail. */
const COMMITS_INSIDE =
  /^\s*(?:(?:call|do|vacuum|analy[sz]e|reindex|cluster|repack)\b|(?:alter|create|drop)\s+(?:database|subscription|system|tablespace)\b|(?:alter|create|drop)\b[\s\S]*\bconcurrently\b)/i;
const COMMITTED = /^(?:COMMIT|PREPARE TRANSACTION|ROLLBACK PREPARED)/;
const ATOMIC_BODY = /\bbegin\s+atomic\b/i;
const SQL_BODY = /\bbegin\s+atomic\b[\s\S]*?\bend\b(?=\s*(?:;|$))/gi;
const PARENTHESES = /\([^()]*\)/g;
const ROLLS_BACK_TO = /^\s*rollback\s+(?:(?:work|transaction)\s+)?to\b/i;
const CHAINS = /\band\s+chain\b/i;

/**
 * Whether a statement of the text is transaction control. Semicolons in the body of an SQL function do not separate
 * statements, so there only the server's reply tells.
 */
export function endsTransaction(text: string): boolean {
  if (!WORDS.test(text)) return false;
  const bare = bareOf(text);
  return !ATOMIC_BODY.test(bare) && bare.split(';').some((statement) => ENDS.test(statement));
}

/** The text without literals, quoted names and comments. */
function bareOf(text: string): string {
  const pieces = new RegExp(PIECES);
  let bare = '';
  let at = 0;
  for (let found = pieces.exec(text); found !== null; found = pieces.exec(text)) {
    const [piece] = found;
    bare += text.slice(at, found.index) + (piece === ';' ? ';' : ' ');
    if (piece === '/*') pieces.lastIndex = endOfComment(text, found.index);
    at = pieces.lastIndex;
  }
  return bare + text.slice(at);
}

/** Comments nest. */
function endOfComment(text: string, start: number): number {
  const edges = new RegExp(COMMENT_EDGES);
  edges.lastIndex = start;
  let depth = 0;
  for (let edge = edges.exec(text); edge !== null; edge = edges.exec(text)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return edges.lastIndex;
  }
  return text.length;
}

/**
 * Whether a statement of the caller has ended the transaction, by the server's own reply. The tag of `rollback to
 * savepoint` is that of `rollback`: after it the transaction is still open, and no new one was begun.
 */
export function transactionEnd({
  commands,
  status,
  text,
}: ControlReply): TransactionEnd | undefined {
  if (commands.includes('COMMIT')) return 'committed';
  if (commands.includes('PREPARE TRANSACTION')) return 'prepared';
  const at = commands.indexOf('ROLLBACK');
  if (status === 'I') return 'rolled back';
  if (at < 0) return undefined;
  const isBegunAnew = commands.slice(at).some((tag) => /^(?:BEGIN|START TRANSACTION)$/.test(tag));
  const isChained = CHAINS.test(bareOf(text));
  return isBegunAnew || isChained ? 'rolled back' : undefined;
}

/**
 * Whether the command tag at this place, ROLLBACK, is that of a `rollback to savepoint`, which is the same. Each statement
 * of the text has one.
 */
export function isRollbackToSavepoint({ status, text }: ControlReply, at: number): boolean {
  const statement = statementsOf(text)[at];
  return statement === undefined ? status !== 'I' : ROLLS_BACK_TO.test(statement);
}

/** The statements of a text, without literals, quoted names and comments. */
export function statementsOf(text: string): string[] {
  return withoutBodies(bareOf(text))
    .split(';')
    .filter((each) => each.trim() !== '');
}

/** Semicolons within parentheses and in the body of an SQL function separate nothing that has a tag. */
function withoutBodies(bare: string): string {
  const flat = bare.replaceAll(SQL_BODY, ' ');
  const inner = flat.replaceAll(PARENTHESES, ' ');
  return inner === flat ? flat : withoutBodies(inner);
}

/**
 * Whether a text that the server refused may have been committed in part before the error. What was not committed by a
 * statement of its own is rolled back with it, and inside of an open transaction nothing else can commit.
 */
export function mayHaveCommitted({ commands, status, text }: ControlReply): boolean {
  if (hasCommitted(commands)) return true;
  return (
    status === 'I' &&
    bareOf(text)
      .split(';')
      .some((part) => COMMITS_INSIDE.test(part))
  );
}

function hasCommitted(commands: readonly string[]): boolean {
  return commands.some((tag) => COMMITTED.test(tag));
}

const ADVICE = 'let the callback return to commit, and throw to roll back';

/** A statement that is not sent, because it would end its transaction. */
export function wouldEnd(host: string): TransactionControlError {
  const message = `a statement of the callback would end its transaction on ${host}; it was not sent; ${ADVICE}`;
  return new TransactionControlError(message, { phase: 'not-sent', outcome: 'not-applied', host });
}

/** A statement that has ended its transaction. */
export function hasEnded(host: string, end: TransactionEnd): TransactionControlError {
  const outcomes = {
    committed: 'applied',
    'rolled back': 'not-applied',
    prepared: 'unknown',
  } as const;
  const message = `a statement of the callback has ended its transaction on ${host}, which is ${end}; ${ADVICE}`;
  return new TransactionControlError(message, { phase: 'sent', outcome: outcomes[end], host });
}

/**
 * Checks the connection after statements outside of a transaction: what they have left open is rolled back when it is
 * released, so it must not be called a success.
 * @throws TransactionControlError
 */
export function checkNoneOpen({ status, commands }: Connection, host: string): void {
  if (status !== 'I') throw leftOpen(host, commands);
}

/** A statement of a transaction that was left open. @param commands its tags. */
export function leftOpen(host: string, commands: readonly string[]): TransactionControlError {
  const message =
    `a statement has left a transaction open on ${host}, and it was rolled back; use transaction(), or acquire() to ` +
    'keep the connection';
  return undone(host, commands, message);
}

/**
 * A statement of a transaction that a batch began, and that could not be committed because another one had failed.
 * @param mayHaveRun the batch was sent before, and may have been committed then.
 */
export function failedWith(
  host: string,
  commands: readonly string[],
  mayHaveRun = false,
): TransactionControlError {
  const message =
    `another statement of its transaction on ${host} failed, and it was rolled back; use transaction() for ` +
    'statements that belong together';
  return undone(host, commands, message, mayHaveRun);
}

function undone(
  host: string,
  commands: readonly string[],
  message: string,
  mayHaveRun = false,
): TransactionControlError {
  const outcome = mayHaveRun || hasCommitted(commands) ? 'unknown' : 'not-applied';
  return new TransactionControlError(message, { phase: 'sent', outcome, host });
}
