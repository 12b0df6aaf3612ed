import { parseOptions } from '@holdfast/foundation';
import { NO_GENERATION, type TablesOptions, tablesSchema } from '../tables.ts';

/**
 * The tables and functions that {@link createSupabaseGenerations} calls through PostgREST: a migration, that may run again.
 * Nobody but the service role reaches them.
 * @throws InvalidOptionError
 */
export function supabaseSchemaSql(options: TablesOptions = {}): string {
  const { schema, prefix } = parseOptions('supabaseSchemaSql', tablesSchema, options);
  const named: Named = (part) => `"${schema}"."${partName(prefix, part)}"`;
  return [
    tablesSql(named),
    beginSql(named),
    publishSql(named),
    settleSql(named),
    currentSql(named),
    removeSql(named),
    rightsSql(named),
    `notify pgrst, 'reload schema';\n`,
  ].join('\n');
}

/** The tables and the functions. */
export type SchemaPart =
  | 'fence'
  | 'generations'
  | 'documents'
  | 'begin'
  | 'publish'
  | 'settle'
  | 'current'
  | 'remove';

type Named = (part: SchemaPart) => string;

/** Other names than those of `createPostgresGenerations`, whose catalog may be in the same schema. */
export function partName(prefix: string, part: SchemaPart): string {
  return `${prefix}_rest_${part}`;
}

const tablesSql = (named: Named): string => `
create table if not exists ${named('fence')} (
  one boolean primary key default true check (one),
  generation bigint not null, token bigint not null, attempt text);
insert into ${named('fence')} (generation, token) values (${NO_GENERATION}, ${NO_GENERATION}) on conflict do nothing;
create table if not exists ${named('generations')} (
  attempt text primary key, generation bigint not null, token bigint not null,
  state text not null default 'staged' check (state in ('staged', 'published')),
  begun_at timestamptz not null default clock_timestamp(), published_at timestamptz, manifest json);
create table if not exists ${named('documents')} (
  attempt text not null references ${named('generations')} on delete cascade, "row" bigint not null,
  name text not null, document text not null, checksum bigint not null, primary key (attempt, "row"));
`;

/** Every function answers with one field: what it did, or why it did not. */
const functionSql = (head: string, body: string): string =>
  `create or replace function ${head} returns json language plpgsql set search_path = '' as $body$\n${body}$body$;\n`;

const fencedSql = (generation: string, token: string): string => `
  if ${token} < fence.token or ${generation} <= fence.generation then
    return json_build_object('fenced', json_build_object('generation', fence.generation, 'token', fence.token));
  end if;`;

const beginSql = (named: Named): string =>
  functionSql(
    `${named('begin')}(p_attempt text, p_generation bigint, p_token bigint)`,
    `declare fence record;
begin
  select generation, token into strict fence from ${named('fence')} for update;${fencedSql('p_generation', 'p_token')}
  -- From now on former leaders publish nothing, and what they have staged is of no use.
  update ${named('fence')} set token = p_token where one;
  delete from ${named('generations')} where state = 'staged';
  insert into ${named('generations')} (attempt, generation, token) values (p_attempt, p_generation, p_token);
  return json_build_object('done', true);
end;
`,
  );

const publishSql = (named: Named): string =>
  functionSql(
    `${named('publish')}(p_attempt text, p_manifest text)`,
    `declare fence record; staged record; counted record;
begin
  select generation, token into strict fence from ${named('fence')} for update;
  -- Rows that are still on their way wait for this lock, and come too late.
  select generation, token into staged from ${named('generations')}
    where attempt = p_attempt and state = 'staged' for update;
  if not found then
    return json_build_object('missing', 'nothing is left: another attempt has begun');
  end if;${fencedSql('staged.generation', 'staged.token')}
  select count(*) as rows, coalesce(max("row"), -1) as last into counted from ${named('documents')}
    where attempt = p_attempt;
  if counted.rows is distinct from (p_manifest::json ->> 'rows')::bigint
    or counted.last <> counted.rows - 1 then
    return json_build_object('missing', counted.rows || ' rows are there');
  end if;
  update ${named('generations')} set state = 'published', published_at = clock_timestamp(), manifest = p_manifest::json
    where attempt = p_attempt;
  update ${named('fence')} set generation = staged.generation, token = staged.token, attempt = p_attempt where one;
  return json_build_object('done', true);
end;
`,
  );

/** After it an attempt is published, or never will be: a publication that is still on its way finds nothing. */
const settleSql = (named: Named): string =>
  functionSql(
    `${named('settle')}(p_attempt text)`,
    `declare fence record;
begin
  select generation, token into strict fence from ${named('fence')} for update;
  delete from ${named('generations')} where attempt = p_attempt and state = 'staged';
  return json_build_object('generation', fence.generation, 'token', fence.token, 'published',
    exists (select from ${named('generations')} where attempt = p_attempt and state = 'published'));
end;
`,
  );

const currentSql = (named: Named): string =>
  functionSql(
    `${named('current')}()`,
    `begin
  return (select json_build_object('attempt', attempt, 'manifest', manifest)
    from ${named('fence')} join ${named('generations')} using (attempt));
end;
`,
  );

/** The newest two stay, and of the others at most six for as long as the grace lasts. */
const removeSql = (named: Named): string =>
  functionSql(
    `${named('remove')}(p_grace_ms bigint)`,
    `begin
  delete from ${named('generations')} using (
    select attempt as old, row_number() over newest as place, lag(published_at) over newest as replaced_at
    from ${named('generations')} where state = 'published' window newest as (order by generation desc)) as placed
  where attempt = old and (place > 8 or place > 2
    and replaced_at < clock_timestamp() - p_grace_ms * interval '1 ms');
  return json_build_object('done', true);
end;
`,
  );

const SIGNATURES = {
  begin: 'text, bigint, bigint',
  publish: 'text, text',
  settle: 'text',
  current: '',
  remove: 'bigint',
} as const;

function rightsSql(named: Named): string {
  const tables = (['fence', 'generations', 'documents'] as const).map((part) => named(part));
  const functions = (['begin', 'publish', 'settle', 'current', 'remove'] as const).map(
    (part) => `${named(part)}(${SIGNATURES[part]})`,
  );
  return `${tables.map((table) => `alter table ${table} enable row level security;\n`).join('')}
revoke all on ${tables.join(', ')} from public;
revoke all on function ${functions.join(', ')} from public;
do $body$
begin
  if exists (select from pg_roles where rolname = 'anon') then
    revoke all on ${tables.join(', ')} from anon, authenticated;
    revoke all on function ${functions.join(', ')} from anon, authenticated;
  end if;
  if exists (select from pg_roles where rolname = 'service_role') then
    grant select, insert, update, delete on ${tables.join(', ')} to service_role;
    grant execute on function ${functions.join(', ')} to service_role;
  end if;
end;
$body$;
`;
}
