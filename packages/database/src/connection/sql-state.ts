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

/** Whether the server closes the connection after this error. */
export function closesConnection(sqlState: string | undefined): boolean {
  return (
    sqlState !== undefined &&
    (['57P01', '57P02', '57P03', '57P04', '57P05', '25P03'].includes(sqlState) ||
      sqlState.startsWith('08'))
  );
}

/** Whether the same transaction may succeed when it is run again: serialization failure or deadlock. */
export function isConflict(sqlState: string | undefined): boolean {
  return sqlState === '40001' || sqlState === '40P01';
}

export const READ_ONLY = '25006';
export const TOO_MANY_CONNECTIONS = '53300';

/** Whether a statement that failed with this state may succeed later, unchanged. */
export function isTransient(sqlState: string | undefined): boolean {
  if (sqlState === undefined) return false;
  return (
    isConflict(sqlState) ||
    closesConnection(sqlState) ||
    sqlState.startsWith('53') ||
    ['55P03', '55006', READ_ONLY].includes(sqlState)
  );
}

/** Whether the server, or a proxy, reported that the outcome of the statement is unknown. */
export function isUnresolved(sqlState: string | undefined): boolean {
  return sqlState === '40003' || sqlState === '08007';
}

const networkCodes = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EMFILE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENFILE',
  'ENOBUFS',
  'ENOTFOUND',
  'EADDRNOTAVAIL',
  'EPIPE',
  'ETIMEDOUT',
  'CONNECT_TIMEOUT',
  'CONNECT_CUT',
]);

/**
 * Whether connecting may succeed later without a change of configuration: the host is unreachable or does not
 * accept connections now. A wrong password, database name or certificate is permanent.
 */
export function mayConnectLater(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) {
    return !/^(?:28|3D|42|0A|22)/.test(sqlState);
  }
  const code = codeOf(error);
  return code !== undefined && networkCodes.has(code);
}

/** The error's message, preceded by its code where the message does not contain it. */
export function errorMessage(error: unknown): string {
  const code = codeOf(error);
  const message =
    typeof error === 'object' && error !== null && 'message' in error
      ? String(error.message)
      : String(error);
  return code === undefined || message.includes(code) ? message : `${code} ${message}`;
}
