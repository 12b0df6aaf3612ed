import {
  InvalidOptionError,
  type OptionRule,
  boolean,
  integer,
  optional,
  parseOptions,
} from '@holdfast/foundation';

/** What a Postgres is given in postgresql.conf, name by name. */
export type PostgresSettings = Readonly<Record<string, string>>;

/** What stands as `stage.postgres`. */
export interface ResolvedPostgresOptions {
  readonly version: number | undefined;
  readonly replica: boolean;
  readonly settings: PostgresSettings;
}

/** Where it listens, keeps its data and prints, and what joins a replica to it. */
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

/** The oldest version still tended by its makers when this was written, and one that is far off. */
const OLDEST_VERSION = 14;
const LAST_VERSION = 99;

const settingsRule: OptionRule<PostgresSettings> = {
  permitted: `an object from postgresql.conf parameters (not ${STAGE_PARAMETERS.join(', ')}) to one-line strings`,
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const settings: Record<string, string> = {};
    for (const [parameter, setting] of Object.entries(value)) {
      const path = `${field}.${parameter}`;
      if (!/^[a-z][a-z0-9_.]*$/.test(parameter) || STAGE_PARAMETERS.includes(parameter)) {
        const permitted = `a postgresql.conf parameter other than ${STAGE_PARAMETERS.join(', ')}`;
        throw new InvalidOptionError(owner, path, setting, permitted);
      }
      if (typeof setting !== 'string' || /[\r\n]/.test(setting)) {
        throw new InvalidOptionError(owner, path, setting, 'a string of one line');
      }
      settings[parameter] = setting;
    }
    return settings;
  },
  defaultValue: () => ({}),
};

const shape = {
  version: optional(integer({ min: OLDEST_VERSION, max: LAST_VERSION })),
  replica: boolean(false),
  settings: settingsRule,
};

/** `true` stands for one with its defaults, `'replica'` for one with a replica. */
export const postgresRule: OptionRule<ResolvedPostgresOptions> = {
  permitted: `true, 'replica', or an object`,
  parse(value, field, owner) {
    if (value === true) return this.parse({}, field, owner);
    if (value === 'replica') return this.parse({ replica: true }, field, owner);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    return parseOptions(owner, shape, value, field);
  },
};
