import { parseArgs } from 'node:util';
import { hideValue, propertyOf } from '@holdfast/foundation';
import { CatalogUsageError } from './errors.ts';

/** Where a value comes from, what it is for, and what is permitted. */
interface Flag {
  /** The variable of the environment; the flag wins over it. */
  readonly variable?: string;
  /** In the usage, such as `<url>`; absent for a switch. */
  readonly value?: string;
  readonly help: string;
}

const connections = {
  'api-url': {
    variable: 'ESIM_GO_API_URL',
    value: '<url>',
    help: 'default https://api.esim-go.com/v2.5',
  },
  redis: { variable: 'CATALOG_REDIS_URL', value: '<url>', help: 'redis:// or rediss://' },
  database: { variable: 'CATALOG_DATABASE_URL', value: '<url>', help: 'postgres://' },
  'supabase-url': {
    variable: 'CATALOG_SUPABASE_URL',
    value: '<url>',
    help: 'https://, instead of --database',
  },
  directory: {
    variable: 'CATALOG_DIRECTORY',
    value: '<path>',
    help: 'of backups and pages; default ./catalog',
  },
  prefix: {
    variable: 'CATALOG_PREFIX',
    value: '<word>',
    help: 'of its keys and tables; default catalog',
  },
} satisfies Record<string, Flag>;

const json = { json: { help: 'print JSON' } } satisfies Record<string, Flag>;

const searchFlags = {
  country: { value: '<code>', help: 'such as DE' },
  region: { value: '<name>', help: 'such as Europe' },
  group: { value: '<name>', help: 'exactly as the API spells it' },
  'min-data-mb': { value: '<n>', help: 'megabytes' },
  'max-data-mb': { value: '<n>', help: 'megabytes' },
  unlimited: { value: '<bool>', help: 'true or false' },
  'min-duration-days': { value: '<n>', help: 'days' },
  'max-duration-days': { value: '<n>', help: 'days' },
  'min-price': { value: '<n>', help: 'in the currency of the organization' },
  'max-price': { value: '<n>', help: 'in the currency of the organization' },
  roaming: { value: '<code>', help: 'a country in which the bundle roams' },
  sort: { value: '<key>', help: 'price, dataAmount, duration or name' },
  direction: { value: '<way>', help: 'ascending or descending' },
  offset: { value: '<n>', help: 'the first bundle, from 0' },
  limit: { value: '<n>', help: '0 to 1000; default 20' },
  facets: { value: '<list>', help: 'country,region,group,unlimited' },
} satisfies Record<string, Flag>;

interface CommandSpec {
  readonly summary: string;
  readonly arguments: string;
  readonly flags: Readonly<Record<string, Flag>>;
}

export type CommandName = 'sync' | 'search' | 'status' | 'serve';

export const commands: Readonly<Record<CommandName, CommandSpec>> = {
  sync: {
    summary: 'fetch all bundles, and publish them as one generation',
    arguments: '',
    flags: {
      ...connections,
      'allow-shrink': { help: 'publish although bundles have disappeared' },
      ...json,
    },
  },
  search: {
    summary: 'search the newest generation',
    arguments: '[word …]',
    flags: { ...searchFlags, ...connections, ...json },
  },
  status: {
    summary: 'print which generation each tier has',
    arguments: '',
    flags: { ...connections, ...json },
  },
  serve: {
    summary: 'answer over HTTP, and sync when it is time',
    arguments: '',
    flags: {
      ...connections,
      host: { variable: 'CATALOG_HOST', value: '<name>', help: 'default 127.0.0.1' },
      port: { variable: 'PORT', value: '<n>', help: 'default 3000' },
      'sync-every-hours': {
        variable: 'CATALOG_SYNC_EVERY_HOURS',
        value: '<n>',
        help: 'default 24',
      },
    },
  },
};

/** What a command was asked for. */
export interface Invocation {
  readonly command: CommandName;
  /** Words of a search. */
  readonly words: readonly string[];
  /** The filters of a search, by their names in a query. */
  readonly filters: ReadonlyMap<string, string>;
  readonly isJson: boolean;
  readonly allowShrink: boolean;
  readonly connections: TierConfiguration;
  readonly host: string;
  readonly port: number;
  readonly syncEveryHours: number;
}

export interface TierConfiguration {
  readonly apiKey: string | undefined;
  readonly apiUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly supabase: { readonly url: string; readonly key: string } | undefined;
  readonly directory: string;
  readonly prefix: string;
}

export type Variables = Readonly<Record<string, string | undefined>>;

/** @throws CatalogUsageError naming the flag or the variable, and what is permitted. */
export function parseInvocation(
  command: CommandName,
  given: readonly string[],
  variables: Variables,
): Invocation {
  const spec = commands[command];
  const { values, positionals } = parseFlags(command, given);
  const read = (name: string): string | undefined => {
    const own = values[name];
    const { variable } = spec.flags[name] ?? {};
    const value =
      typeof own === 'string' ? own : variable === undefined ? undefined : variables[variable];
    // Scripts leave variables empty that they have no value for.
    return value === '' ? undefined : value;
  };
  const wholeNumber = (name: string, usual: number, max: number, min = 0): number => {
    const text = read(name);
    const value = text === undefined ? usual : Number(/^\d{1,9}$/.test(text) ? text : Number.NaN);
    if (value >= min && value <= max) return value;
    throw new CatalogUsageError(
      `--${name} is ${JSON.stringify(text)}`,
      `It has to be a whole number from ${min} to ${max}`,
    );
  };
  return {
    command,
    words: positionals,
    filters: filtersOf(values),
    isJson: values['json'] === true,
    allowShrink: values['allow-shrink'] === true,
    connections: connectionsOf(read, variables),
    host: read('host') ?? '127.0.0.1',
    port: wholeNumber('port', 3_000, 65_535),
    syncEveryHours: wholeNumber('sync-every-hours', 24, 720, 1),
  };
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function parseFlags(
  command: CommandName,
  args: readonly string[],
): { readonly values: Values; readonly positionals: readonly string[] } {
  const { flags, arguments: permitted } = commands[command];
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: permitted !== '' });
    const { values, positionals } = parsed;
    return { values: Object.assign(Object.create(null), values), positionals };
  } catch (error) {
    if (!String(propertyOf(error, 'code')).startsWith('ERR_PARSE_ARGS')) throw error;
    // The first sentence; the others are of Node's own ways out.
    const [seen = ''] = String(propertyOf(error, 'message')).split(/\. |\n/);
    throw new CatalogUsageError(seen, `'catalog help ${command}' lists the flags`, error);
  }
}

function filtersOf(values: Values): ReadonlyMap<string, string> {
  const filters = new Map<string, string>();
  for (const name of Object.keys(searchFlags)) {
    const value = values[name];
    if (typeof value === 'string') {
      filters.set(
        name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase()),
        value,
      );
    }
  }
  return filters;
}

function connectionsOf(
  read: (name: string) => string | undefined,
  variables: Variables,
): TierConfiguration {
  const url = (
    name: keyof typeof connections,
    pattern: RegExp,
    example: string,
  ): string | undefined => {
    const value = read(name);
    // One of Postgres may have several hosts.
    const isUrl = name === 'database' || (value !== undefined && URL.canParse(value));
    if (value === undefined || (pattern.test(value) && isUrl)) return value;
    const { variable } = connections[name];
    const seen = `--${name} (${variable}) is ${JSON.stringify(hideValue(value))}`;
    throw new CatalogUsageError(seen, `It has to be a URL such as ${example}`);
  };
  const supabaseUrl = url('supabase-url', /^https?:\/\//, 'https://project.supabase.co');
  const databaseUrl = url(
    'database',
    /^postgres(?:ql)?:\/\//,
    'postgres://user:password@host:5432/name',
  );
  const supabaseKey = variables['CATALOG_SUPABASE_KEY'] || undefined;
  if (supabaseUrl !== undefined && databaseUrl !== undefined) {
    const remedy = 'Give one of them: both are the database of the catalog';
    throw new CatalogUsageError('--supabase-url and --database are both given', remedy);
  }
  if (supabaseUrl !== undefined && supabaseKey === undefined) {
    const remedy = 'Set CATALOG_SUPABASE_KEY to the key of the service role';
    throw new CatalogUsageError('--supabase-url is given without a key', remedy);
  }
  return {
    apiKey: variables['ESIM_GO_API_KEY'] || undefined,
    apiUrl: url('api-url', /^https?:\/\//, 'https://api.esim-go.com/v2.5'),
    redisUrl: url('redis', /^rediss?:\/\//, 'redis://host:6379'),
    databaseUrl,
    supabase:
      supabaseUrl === undefined || supabaseKey === undefined
        ? undefined
        : { url: supabaseUrl, key: supabaseKey },
    directory: read('directory') ?? './catalog',
    prefix: read('prefix') ?? 'catalog',
  };
}
