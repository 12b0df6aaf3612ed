/*
 * Each pattern is bounded, so that a long text without secrets costs time in proportion to its length.
 */
const scheme = String.raw`\b([a-z][a-z0-9+.-]{0,30}:\/\/)`;

/** `scheme://anything@`, up to the last @ before the path. */
const userInfo = new RegExp(String.raw`${scheme}[^\s/?#"'<>]{0,1024}@`, 'gi');

/**
 * `scheme://name:secret@` with an unencoded slash, question mark or hash in the secret: the text after the
 * colon is not a port, so everything up to the last @ is treated as the secret.
 */
const brokenUserInfo = new RegExp(
  String.raw`${scheme}[^\s/?#:"'<>[]{0,256}:(?!\d{1,5}(?![^\s/?#"'<>),;\]]))[^\s"'<>]{0,1024}@`,
  'gi',
);

/** The URL of a store has no @ after its host, so a text before an @ is a secret even if it looks like a port and path. */
const storeUserInfo =
  /\b((?:redis|valkey|postgres|mysql|mariadb|mongodb|amqp|nats)[a-z+]{0,10}:\/\/)[^\s"'<>]{0,1024}@/gi;

/** Secrets in query parameters, as in signed URLs and Postgres URLs. */
const queryParameter =
  /([?&](?:password|passwd|pwd|secret|token|access_token|api_?key|sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token)=)[^&\s"'<>#]+/gi;

/** The text with credentials in URLs replaced: `redis://user:secret@host` becomes `redis://***@host`. */
export function redact(text: string): string {
  return text
    .replace(storeUserInfo, '$1***@')
    .replace(userInfo, '$1***@')
    .replace(brokenUserInfo, '$1***@')
    .replace(queryParameter, '$1***');
}
