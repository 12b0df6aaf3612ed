import { InvalidOptionError, type OptionRule, parseOptions } from '@holdfast/foundation';

/** Where the tables of one catalog are. */
export interface TablesOptions {
  /** An existing schema. Default `public`. */
  readonly schema?: string;
  /** The beginning of the names of all tables; the view of the published generation has it as its name. Default `catalog`. */
  readonly prefix?: string;
}

/** Leaves room for a generation's number and the mark of an attempt within the 63 bytes of a name. */
const MAX_PREFIX = 30;

function nameRule(absent: string, maxLength: number): OptionRule<string> {
  return {
    permitted: `1 to ${maxLength} characters of a to z, 0 to 9 and _, the first one a letter`,
    parse(value, field, owner) {
      const isName = typeof value === 'string' && /^[a-z][a-z0-9_]*$/.test(value);
      if (isName && value.length <= maxLength) return value;
      throw new InvalidOptionError(owner, field, value, this.permitted);
    },
    defaultValue: () => absent,
  };
}

export const tablesSchema: {
  readonly schema: OptionRule<string>;
  readonly prefix: OptionRule<string>;
} = { schema: nameRule('public', 63), prefix: nameRule('catalog', MAX_PREFIX) };

/** The names as they stand in statements. */
export interface Tables {
  readonly fence: string;
  readonly generations: string;
  readonly view: string;
  /** @param relation the name of a generation's table, as it stands in the table of generations. */
  rowsOf(relation: string): string;
}

export function tablesOf({ schema, prefix }: Required<TablesOptions>): Tables {
  const named = (name: string): string => `"${schema}"."${name.replaceAll('"', '""')}"`;
  return {
    fence: named(`${prefix}_fence`),
    generations: named(`${prefix}_generations`),
    view: named(prefix),
    rowsOf: named,
  };
}

/** The name of the table for one attempt at a generation: no other attempt has it, however late it writes. */
export function relationOf(prefix: string, generation: number, mark: string): string {
  return `${prefix}_g${generation}_${mark}`;
}

/** No generation is below it. */
export const NO_GENERATION = -1;

export function schemaStatements({ fence, generations }: Tables): string[] {
  return [
    `create table if not exists ${fence} (one boolean primary key default true check (one), ` +
      `generation bigint not null, token bigint not null, relation text)`,
    `insert into ${fence} (generation, token) values (${NO_GENERATION}, ${NO_GENERATION}) on conflict do nothing`,
    `create table if not exists ${generations} (relation text primary key, generation bigint not null, ` +
      `token bigint not null, state text not null check (state in ('staged', 'published', 'removed')), ` +
      `begun_at timestamptz not null default clock_timestamp(), published_at timestamptz, manifest json)`,
  ];
}

/**
 * Creates what {@link createPostgresGenerations} otherwise creates at its first generation, for those who keep their
 * schema in migrations. The role of the catalog needs `create` on the schema nevertheless, for the generations' tables.
 * @throws InvalidOptionError
 */
export function postgresSchemaSql(options: TablesOptions = {}): string {
  const names = tablesOf(parseOptions('postgresSchemaSql', tablesSchema, options));
  return schemaStatements(names)
    .map((statement) => `${statement};\n`)
    .join('');
}
