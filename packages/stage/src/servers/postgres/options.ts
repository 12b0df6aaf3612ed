import {
  boolean,
  integer,
  InvalidOptionError,
  type OptionRule,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import { settingsRule } from '../settings-rule.ts';
import {
  type PgBouncerStageOptions,
  type ResolvedPgBouncerOptions,
  pgBouncerRule,
} from './pgbouncer-options.ts';

/** Parameters of postgresql.conf by name. */
export type PostgresSettings = Readonly<Record<string, string>>;

/** A Postgres, with or without a streaming replica. */
export interface PostgresStageOptions {
  /** Its major version, such as 17. Default: the one on PATH, else the newest available. */
  version?: number;
  /** Whether it has a streaming replica. Default false. */
  replica?: boolean;
  /**
   * Parameters of postgresql.conf by name, such as `{ synchronous_commit: 'remote_apply' }`. By default
   * nothing is forced to disk (`fsync`, `full_page_writes`: `off`): data survive the processes, not a crash
   * of the machine. The stage sets endpoints and folders.
   */
  settings?: PostgresSettings;
  /** A PgBouncer in front of it, with connections to one of its servers. Mode local only. Default: none. */
  pgbouncer?: true | PgBouncerStageOptions;
}

export interface ResolvedPostgresOptions {
  readonly version: number | undefined;
  readonly replica: boolean;
  readonly settings: PostgresSettings;
  readonly pgbouncer: ResolvedPgBouncerOptions | undefined;
}

/** Parameters that the stage sets: endpoint, data folder, output, and the connection of a replica. */
const STAGE_PARAMETERS: readonly string[] = [
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'data_directory',
  'hba_file',
  'ident_file',
  'external_pid_file',
  'logging_collector',
  'log_destination',
  'dynamic_shared_memory_type',
  'primary_conninfo',
];

/** The oldest version that was supported when this was written, and a bound far in the future. */
const MIN_VERSION = 14;
const MAX_VERSION = 99;

const shape = {
  version: optional(integer({ min: MIN_VERSION, max: MAX_VERSION })),
  replica: boolean(false),
  settings: settingsRule({
    entry: 'postgresql.conf parameter',
    pattern: /^[a-z][a-z0-9_.]*$/,
    isReserved: (parameter) => STAGE_PARAMETERS.includes(parameter),
    reserved: STAGE_PARAMETERS.join(', '),
  }),
  pgbouncer: optional(pgBouncerRule),
};

/** `true`: the defaults; `'replica'`: with a replica. */
export const postgresRule: OptionRule<ResolvedPostgresOptions> = {
  permitted: `true, 'replica', or an object`,
  parse(value, field, owner) {
    if (value === true) return this.parse({}, field, owner);
    if (value === 'replica') return this.parse({ replica: true }, field, owner);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const options = parseOptions(owner, shape, value, field);
    const target = options.pgbouncer?.target;
    if (target === 'replica' && !options.replica) {
      const permitted = `'primary', or 'replica' together with '${field}.replica: true'`;
      throw new InvalidOptionError(owner, `${field}.pgbouncer.target`, target, permitted);
    }
    return options;
  },
};
