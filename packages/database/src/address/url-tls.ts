import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { InvalidOptionError } from '@holdfast/foundation';

type Tls = boolean | ConnectionOptions;

const SWITCHES: Readonly<Record<string, 'on' | 'off' | 'no-verify'>> = {
  true: 'on',
  '1': 'on',
  false: 'off',
  '0': 'off',
  'no-verify': 'no-verify',
};

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];

/** Its root certificates are those of the system. */
const SYSTEM = 'system';

/**
 * TLS as the parameters of a URL ask for it, as in pg: every mode but `disable` and `no-verify` verifies certificate
 * and name. With `uselibpqcompat=true`, `require` and weaker modes verify nothing, unless there is a root certificate.
 * @param isNeeded another parameter needs TLS.
 * @returns `undefined` if they say nothing.
 * @throws InvalidOptionError also for parameters that contradict each other, and for files that cannot be read.
 */
export function tlsOf(
  given: ReadonlyMap<string, string>,
  isNeeded: boolean,
  field: string,
  owner: string,
): (() => Tls) | undefined {
  const refuse = (name: string, permitted: string): InvalidOptionError =>
    new InvalidOptionError(owner, `${field}?${name}`, '***', permitted);
  const choice = choiceOf(given, refuse);
  if (choice === 'off' && isNeeded) throw refuse('sslmode', 'a mode with TLS, as the others ask');
  if (choice === undefined) return isNeeded ? () => true : undefined;
  if (choice === 'off') return () => false;
  const checks = choice === 'no-verify' ? { rejectUnauthorized: false } : checksOf(given, refuse);
  const read = (): Tls => {
    const files = filesOf(given);
    return Object.keys(files).length + Object.keys(checks).length === 0
      ? true
      : { ...files, ...checks };
  };
  for (const name of ['sslcert', 'sslkey', 'sslrootcert']) {
    const path = given.get(name);
    if (path === undefined || path === SYSTEM) continue;
    try {
      readFileSync(path);
    } catch {
      throw refuse(name, 'the path of a file that can be read');
    }
  }
  return read;
}

type Refuse = (name: string, permitted: string) => InvalidOptionError;

/** @throws InvalidOptionError */
function choiceOf(
  given: ReadonlyMap<string, string>,
  refuse: Refuse,
): 'on' | 'off' | 'no-verify' | undefined {
  const ssl = given.get('ssl');
  const mode = given.get('sslmode');
  const compatible = given.get('uselibpqcompat');
  const switched = ssl === undefined ? undefined : SWITCHES[ssl];
  if (ssl !== undefined && switched === undefined) {
    throw refuse('ssl', 'true, 1, false, 0 or no-verify');
  }
  if (mode !== undefined && !MODES.includes(mode)) {
    throw refuse('sslmode', `one of ${MODES.join(', ')}`);
  }
  if (compatible !== undefined && compatible !== 'true' && compatible !== 'false') {
    throw refuse('uselibpqcompat', 'true or false');
  }
  const byMode = mode === undefined ? undefined : (MODE_CHOICES[mode] ?? 'on');
  const isSaidTwice = byMode !== undefined && switched !== undefined;
  if (isSaidTwice && (byMode === 'off') !== (switched === 'off')) {
    throw refuse('sslmode', 'in agreement with ssl');
  }
  const hasFiles = ['sslcert', 'sslkey', 'sslrootcert'].some((name) => given.has(name));
  if (hasFiles && switched === 'off') throw refuse('ssl', 'left out beside certificates');
  // Of two that both ask for TLS, the mode is the more precise one.
  return byMode ?? switched ?? (hasFiles ? 'on' : undefined);
}

const MODE_CHOICES: Readonly<Record<string, 'off' | 'no-verify'>> = {
  disable: 'off',
  'no-verify': 'no-verify',
};

/** @throws InvalidOptionError */
function checksOf(given: ReadonlyMap<string, string>, refuse: Refuse): ConnectionOptions {
  if (given.get('uselibpqcompat') !== 'true') return {};
  const root = given.get('sslrootcert');
  const mode = given.get('sslmode');
  if (mode === 'verify-ca' && (root === undefined || root === SYSTEM)) {
    throw refuse('sslmode', 'verify-full, or verify-ca with the sslrootcert of your own authority');
  }
  if (mode === 'verify-full' || mode === undefined) return {};
  if (root === SYSTEM) throw refuse('sslmode', 'verify-full with sslrootcert=system');
  return root === undefined
    ? { rejectUnauthorized: false }
    : { checkServerIdentity: () => undefined };
}

function filesOf(given: ReadonlyMap<string, string>): ConnectionOptions {
  const contents = (name: string): string | undefined => {
    const path = given.get(name);
    return path === undefined || path === SYSTEM ? undefined : readFileSync(path, 'utf8');
  };
  const files = {
    cert: contents('sslcert'),
    key: contents('sslkey'),
    passphrase: given.get('sslpassword'),
    ca: contents('sslrootcert'),
  };
  return Object.fromEntries(Object.entries(files).filter(([, value]) => value !== undefined));
}
