import type { CallDeadline } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { ConnectionFailure } from '../connection/connection.ts';
import type { QueryResult, Statement } from '../database.ts';
import type { Token } from '../connection/token.ts';
import { CURRENT_LSN, tokenFrom } from '../lsn.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import type { TokenLostError } from '../errors.ts';
import { type LinkRequirement, LinkState, StaleLink } from '../pool/link-state.ts';
import { tokenLost } from '../pool/pool-errors.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';

/** A read with what it requires of its connection. */
export interface FreshRead {
  readonly statement: Statement;
  readonly requirement: LinkRequirement;
  /** Whether the position that the read includes is wanted. */
  readonly traced: boolean;
  /** Closes a connection whose server is not fresh enough: another one may lead to another server. */
  readonly closesStale: boolean;
  /** It may write, so it is sent only once the requirement is known to be met, and not in a transaction of ours. */
  readonly mayWrite: boolean;
}

export interface FreshResult<Row extends QueryResultRow> {
  readonly result: QueryResult<Row>;
  /** A position that everything the read saw is within; only if traced. */
  readonly token: Token | undefined;
}

/** Keeps a pooler from sending the parts of one read to different servers. */
const BEGIN: Statement = { text: 'begin' };
const COMMIT: Statement = { text: 'commit' };

/**
 * Runs a read, in one message with the statements that find out whether this connection's server is fresh enough.
 * @throws StaleLink, TokenLostError, ConnectionFailure, QueryInterrupted
 */
export async function runFresh<Row extends QueryResultRow>(
  pooled: PooledConnection,
  { statement, requirement, traced, closesStale, mayWrite }: FreshRead,
  deadline: CallDeadline,
): Promise<FreshResult<Row>> {
  const link = (pooled.link ??= new LinkState(pooled.connection.backendPid));
  pooled.lastSql = statement.text;
  pooled.track(statement.text);
  if (link.isPrimary && link.meets(requirement)) {
    return runOnPrimary<Row>(pooled, link, { statement, traced }, deadline);
  }
  await identify(pooled, link, deadline);
  if (mayWrite) await checkWritable(pooled, requirement, deadline);
  if (mayWrite && (link.isPrimary || !link.isDirect)) {
    return runOnPrimary<Row>(pooled, link, { statement, traced }, deadline);
  }
  const before = link.checks(requirement);
  const after = traced ? link.positions() : [];
  const isWrapped = !link.isDirect && before.length + after.length > 0;
  const parts = [...before, statement, ...after];
  const sent = isWrapped ? [BEGIN, ...parts, COMMIT] : parts;
  const settled = await pooled.during(() => pooled.connection.pipeline<Row>(sent), deadline);
  const lost = settled.find(isLoss);
  if (lost !== undefined) throw lost.reason;
  const at = before.length + (isWrapped ? 1 : 0);
  link.checked(before, settled.slice(at - before.length, at));
  if (!link.meets(requirement)) throw stale(pooled, link, requirement, closesStale);
  const reply = settled[at];
  if (reply?.status !== 'fulfilled') throw reply?.reason;
  const token = traced ? link.read(after, settled.slice(at + 1, at + 1 + after.length)) : undefined;
  return { result: reply.value, token };
}

/**
 * Finds out whether the server behind this connection may get writes that follow what a session has seen: none on an
 * earlier timeline, as a former primary. Behind a pooler that is asked each time.
 * @throws StaleLink, TokenLostError, ConnectionFailure, QueryInterrupted
 */
export async function checkWritable(
  pooled: PooledConnection,
  requirement: LinkRequirement,
  deadline: CallDeadline,
): Promise<void> {
  if (requirement.kind === 'none') return;
  const link = (pooled.link ??= new LinkState(pooled.connection.backendPid));
  if (link.isPrimary && link.meets(requirement)) return;
  await identify(pooled, link, deadline);
  const checks = link.checks(requirement);
  if (checks.length > 0) await runChecks(pooled, link, checks, deadline);
  if (!link.meets(requirement)) throw stale(pooled, link, requirement, true);
}

/** How many of the functions a server may refuse, one after the other. */
const MAX_REFUSALS = 3;

/** Finds out, once for each connection, whether there is a pooler and what its server permits to read. */
async function identify(
  pooled: PooledConnection,
  link: LinkState,
  deadline: CallDeadline,
): Promise<void> {
  for (let refusals = 0; !link.isIdentified && refusals <= MAX_REFUSALS; refusals += 1) {
    await runChecks(pooled, link, link.identification(), deadline);
  }
}

async function runChecks(
  pooled: PooledConnection,
  link: LinkState,
  checks: readonly Statement[],
  deadline: CallDeadline,
): Promise<void> {
  const settled = await pooled
    .during(() => pooled.connection.pipeline(checks), deadline)
    .catch((error: unknown) => {
      throw error instanceof QueryInterrupted
        ? new QueryInterrupted(error.cancellation, false)
        : error;
    });
  const lost = settled.find(isLoss);
  // The statement itself was not sent.
  if (lost !== undefined) throw new ConnectionFailure('lost', lost.reason.cause, false);
  link.checked(checks, settled);
}

function stale(
  pooled: PooledConnection,
  link: LinkState,
  requirement: LinkRequirement,
  closes: boolean,
): StaleLink | TokenLostError {
  const lost = link.lostPosition(requirement);
  if (lost !== undefined) return tokenLost(lost, pooled.host);
  if (closes) pooled.expiresAtMs = -Infinity;
  return new StaleLink(pooled.host, requirement);
}

/** The usual case: nothing has to be found out. */
async function runOnPrimary<Row extends QueryResultRow>(
  pooled: PooledConnection,
  link: LinkState,
  { statement, traced }: { statement: Statement; traced: boolean },
  deadline: CallDeadline,
): Promise<FreshResult<Row>> {
  if (!traced) return { result: await pooled.run<Row>(statement, deadline), token: undefined };
  const { result, next } = await pooled.during(
    () => pooled.connection.runFollowedBy<Row>(statement, CURRENT_LSN),
    deadline,
  );
  const token = tokenFrom(next?.rows[0]);
  link.advance(token);
  return { result, token };
}

type Loss = PromiseRejectedResult & { readonly reason: ConnectionFailure };

/** Whether a statement of a message was lost with its connection. */
export function isLoss(result: PromiseSettledResult<unknown>): result is Loss {
  return (
    result.status === 'rejected' &&
    result.reason instanceof ConnectionFailure &&
    result.reason.kind === 'lost'
  );
}
