/*
 * Each pattern is bounded, so that a long text without secrets costs time in proportion to its length.
 */
const scheme = String.raw`\b([a-z][a-z0-9+.-]{0,30}:\/\/)`;

/** `scheme://anything@`, up to the last @ before the path. */
const userInfo = new RegExp(String.raw`${scheme}[^\s/?#"'<>]{0,1024}@`, 'gi');

/**
 * `scheme://name:secret@` whose secret holds an unencoded slash, question mark or hash: what follows the
 * colon is no port, so everything up to the last @ is taken for the secret.
 */
const brokenUserInfo = new RegExp(
  String.raw`${scheme}[^\s/?#:"'<>[]{0,256}:(?!\d{1,5}(?![^\s/?#"'<>),;\]]))[^\s"'<>]{0,1024}@`,
  'gi',
);

/** A store's URL has no @ behind its host: even a secret that looks like a port and a path is one. */
const storeUserInfo =
  /\b((?:redis|valkey|postgres|mysql|mariadb|mongodb|amqp|nats)[a-z+]{0,10}:\/\/)[^\s"'<>]{0,1024}@/gi;

/** Secrets that travel as a query's parameter, as in signed and Postgres URLs. */
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
