import { InvalidOptionError, type OptionRule, oneOf, parseOptions } from '@holdfast/foundation';
import { settingsRule } from '../settings-rule.ts';

/** When a connection to Postgres returns to the pool: at the end of the session, transaction or statement. */
export type PgBouncerMode = 'session' | 'transaction' | 'statement';

/** Parameters of the section `[pgbouncer]` of pgbouncer.ini by name. */
export type PgBouncerSettings = Readonly<Record<string, string>>;

/** A PgBouncer between clients and the primary. */
export interface PgBouncerStageOptions {
  /** Default `session`, as that of PgBouncer. */
  mode?: PgBouncerMode;
  /** The server that it connects to. Default `primary`. */
  target?: 'primary' | 'replica';
  /**
   * Parameters of the section `[pgbouncer]` by name, such as `{ default_pool_size: '5' }`; PgBouncer's own
   * defaults apply to all others. After a failed login it waits `server_login_retry` (15 s) until its next one.
   */
  settings?: PgBouncerSettings;
}

export interface ResolvedPgBouncerOptions {
  readonly mode: PgBouncerMode;
  readonly target: 'primary' | 'replica';
  readonly settings: PgBouncerSettings;
}

/** Parameters that the stage sets: endpoint, output, users, and what has an option of its own. */
const STAGE_PARAMETERS: readonly string[] = [
  'listen_addr',
  'listen_port',
  'unix_socket_dir',
  'logfile',
  'syslog',
  'pidfile',
  'user',
  'auth_file',
  'auth_hba_file',
  'auth_user',
  'auth_query',
  'admin_users',
  'pool_mode',
  'service_name',
];

const shape = {
  mode: oneOf(['session', 'transaction', 'statement'], 'session'),
  target: oneOf(['primary', 'replica'], 'primary'),
  settings: settingsRule({
    entry: 'pgbouncer.ini parameter',
    pattern: /^[a-z][a-z0-9_]*$/,
    isReserved: (parameter) => STAGE_PARAMETERS.includes(parameter),
    reserved: STAGE_PARAMETERS.join(', '),
  }),
};

/** `true`: the defaults. */
export const pgBouncerRule: OptionRule<ResolvedPgBouncerOptions> = {
  permitted: 'true or an object',
  parse(value, field, owner) {
    if (value === true) return this.parse({}, field, owner);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return parseOptions(owner, shape, value, field);
  },
};
