import { describeValue } from '@holdfast/foundation';

/** The error's `code`: a SQLSTATE, or one of the operating system such as ECONNRESET. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The SQLSTATE of an error that the server sent; `undefined` for any other error. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && isServerError(error)
    ? code
    : undefined;
}

/** Errors that pg makes from an ErrorResponse have a severity; a system error such as `EPIPE` has none. */
function isServerError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error;
}

function severityOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'severity' in error
    ? error.severity
    : undefined;
}

/** Whether the connection is closed after this error, by the server or by a proxy before it. */
export function closesConnection(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  return (
    sqlState !== undefined &&
    !(sqlState === PROTOCOL_VIOLATION && severityOf(error) === 'ERROR') &&
    (['57P01', '57P02', '57P03', '57P04', '57P05', '25P03', '25P04'].includes(sqlState) ||
      sqlState.startsWith('08'))
  );
}

/**
 * Whether the server, or a pooler before it, reports that there is no server to run statements now: it is shutting
 * down, starting, full, or cannot be reached.
 */
export function isServerAway(sqlState: string | undefined): boolean {
  return (
    sqlState !== undefined &&
    (['57P01', '57P02', '57P03', TOO_MANY_CONNECTIONS].includes(sqlState) ||
      sqlState.startsWith('08'))
  );
}

/** Whether the same transaction may succeed when it is run again: serialization failure or deadlock. */
export function isConflict(sqlState: string | undefined): boolean {
  return sqlState === '40001' || sqlState === '40P01';
}

/**
 * What a pooler says of its server that is away, and closes the connection. As an ERROR after which the connection goes
 * on it is what a server says of the caller: its values are more or fewer than the parameters of the statement.
 */
export const PROTOCOL_VIOLATION = '08P01';
export const READ_ONLY = '25006';
export const TOO_MANY_CONNECTIONS = '53300';
export const QUERY_CANCELED = '57014';

/** Whether a statement that failed with this state may succeed later, unchanged. */
export function isTransient(sqlState: string | undefined): boolean {
  if (sqlState === undefined) return false;
  return (
    isConflict(sqlState) ||
    isServerGone(sqlState) ||
    ['25P03', '25P04'].includes(sqlState) ||
    sqlState.startsWith('08') ||
    sqlState.startsWith('53') ||
    ['55P03', '55006', READ_ONLY].includes(sqlState)
  );
}

/** States that say that no connection to the server could be made, so nothing reached it. */
const NEVER_CONNECTED = new Set(['08001', '08004']);

/** Whether the server, or a proxy, reported that the outcome of the statement is unknown. */
export function isUnresolved(sqlState: string | undefined): boolean {
  if (sqlState === undefined || NEVER_CONNECTED.has(sqlState)) return false;
  return sqlState === '40003' || sqlState.startsWith('08') || isServerGone(sqlState);
}

/** The server ended, or was ending, while it worked on the statement. */
function isServerGone(sqlState: string): boolean {
  return ['57P01', '57P02', '57P03', '57P04', '57P05'].includes(sqlState);
}

/**
 * Whether an error in reply to COMMIT leaves its outcome unknown. After an ERROR the server has rolled back. FATAL and
 * PANIC may come after the commit was written, and a connection exception is a proxy's, which cannot know.
 */
export function leavesCommitUnknown(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined) return false;
  return sqlState.startsWith('08') || isUnresolved(sqlState) || isFatal(error);
}

function isFatal(error: unknown): boolean {
  const severity = severityOf(error);
  return severity === 'FATAL' || severity === 'PANIC';
}

/** Failures of sockets, names and this machine's resources, which pass without a change of configuration. */
const transientCodes = new Set(
  [
    // Names.
    'EAI_AGAIN EAI_CANCELED EAI_FAIL EAI_MEMORY EAI_NODATA EAI_NONAME EAI_SYSTEM ENODATA ENOTFOUND EREFUSED ESERVFAIL',
    'ETIMEOUT',
    // The network and the server's machine.
    'ECONNABORTED ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH ENETDOWN ENETRESET ENETUNREACH ENONET ENOTCONN EOF',
    'EPIPE EPROTO ESHUTDOWN ETIMEDOUT ERR_SOCKET_CLOSED ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
    'ERR_SOCKET_CONNECTION_TIMEOUT ERR_SSL_UNEXPECTED_EOF_WHILE_READING',
    // This machine's resources, and its firewall under load.
    'EADDRINUSE EADDRNOTAVAIL EAGAIN EALREADY EBUSY ECANCELED EINTR EIO EMFILE ENFILE ENOBUFS ENOMEM ENOSR EPERM',
    // Ours.
    'CONNECT_TIMEOUT CONNECT_CUT CONNECT_NO_TLS_NOW',
  ].flatMap((codes) => codes.split(' ')),
);

/** An error of ours while connecting, or of a lost connection. */
export function connectError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Classes of SQLSTATE that refuse this client: its password, database, role, rights or parameters. */
const REFUSING = /^(?:0A|0L|0P|22|28|3D|3F|42)/;

/**
 * Whether connecting may succeed later without a change of configuration: the host is unreachable or does not
 * accept connections now. A wrong password, database name or certificate is permanent.
 */
export function mayConnectLater(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return !REFUSING.test(sqlState);
  const code = codeOf(error);
  return code !== undefined && transientCodes.has(code);
}

/** The error's message, preceded by its code where the message does not contain it. */
export function errorMessage(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return code === undefined || message.includes(code) ? message : `${code} ${message}`.trim();
}

function messageOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  // Attempts at all addresses of a name failed: each has its own message, the whole has none.
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map((each) => errorMessage(each)).join(', ');
  }
  return 'message' in error ? String(error.message) : describeValue(error);
}
