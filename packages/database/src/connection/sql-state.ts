/** The server's five characters, or a code of the host's, such as ECONNRESET. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The SQLSTATE of what the server said; codes of the host's own have another length. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && isServerWord(error) ? code : undefined;
}

/** What pg makes of an ErrorResponse has its severity; an `EPIPE` of the host's does not. */
function isServerWord(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error;
}

/** What the server says before it hangs up. */
export function endsTheLink(sqlState: string | undefined): boolean {
  return (
    sqlState !== undefined &&
    (['57P01', '57P02', '57P03', '57P04', '57P05', '25P03'].includes(sqlState) ||
      sqlState.startsWith('08'))
  );
}

/** The same transaction may succeed when it is run again. */
export function isConflict(sqlState: string | undefined): boolean {
  return sqlState === '40001' || sqlState === '40P01';
}

export const READ_ONLY = '25006';
export const TOO_MANY_CONNECTIONS = '53300';

/** Whether a statement refused with this may succeed later, unchanged. */
export function isTransient(sqlState: string | undefined): boolean {
  if (sqlState === undefined) return false;
  return (
    isConflict(sqlState) ||
    endsTheLink(sqlState) ||
    sqlState.startsWith('53') ||
    ['55P03', '55006', READ_ONLY].includes(sqlState)
  );
}

/** The server, or something on the way, said that whether the statement took effect cannot be known. */
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
 * Whether an attempt to connect may succeed later without anything being put right here: the host cannot be
 * reached or is not taking connections. Passwords, names and certificates do not get better by waiting.
 */
export function mayConnectLater(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) {
    return !/^(?:28|3D|42|0A|22)/.test(sqlState);
  }
  const code = codeOf(error);
  return code !== undefined && networkCodes.has(code);
}

/** An error in a few words for a person: its code first, where it has one. */
export function inWords(error: unknown): string {
  const code = codeOf(error);
  const message =
    typeof error === 'object' && error !== null && 'message' in error
      ? String(error.message)
      : String(error);
  return code === undefined || message.includes(code) ? message : `${code} ${message}`;
}
