import type { FakeBehavior } from './behavior.ts';
import type { BoundValue } from '@holdfast/protocols/postgres';
import { type FakeRow, type FakeReply, normalizeSql } from './script.ts';

type Value = FakeRow[string];

/** The server's state that replies depend on. */
interface ServerFacts extends Pick<FakeBehavior, 'role' | 'timeline' | 'lsn' | 'replayLsn'> {
  readonly processId: number;
}

const WAL_SEGMENT_BYTES = 16_777_216;
const FEATURE_NOT_SUPPORTED = '0A000';
const READ_ONLY = '25006';
const NOT_WHILE_RECOVERING = '55000';

const commands: readonly (readonly [RegExp, string])[] = [
  [/^(?:begin|start transaction)\b/, 'BEGIN'],
  [/^(?:commit|end)\b/, 'COMMIT'],
  [/^rollback(?! to\b)(?! transaction to\b)/, 'ROLLBACK'],
  [/^abort\b/, 'ROLLBACK'],
  [/^rollback\b/, 'ROLLBACK TO'],
  [/^prepare transaction\b/, 'PREPARE TRANSACTION'],
  [/^savepoint\b/, 'SAVEPOINT'],
  [/^release\b/, 'RELEASE'],
  [/^set\b/, 'SET'],
  [/^reset\b/, 'RESET'],
  [/^discard all\b/, 'DISCARD ALL'],
  [/^deallocate\b/, 'DEALLOCATE'],
  [/^(?:un)?listen\b/, 'LISTEN'],
];

/** The commands that a standby rejects. */
const writing = /^(?:insert|update|delete|merge|truncate|create|alter|drop|copy)\b/;

/**
 * The reply of any Postgres, independent of its data: to transactions, settings, and selections of constants,
 * parameters and server state. Any other statement needs a script.
 */
export function builtinReply(
  sql: string,
  values: readonly BoundValue[],
  facts: ServerFacts,
): FakeReply {
  const text = normalizeSql(sql);
  if (text === '') return { command: '' };
  const command = commands.find(([pattern]) => pattern.test(text));
  if (command !== undefined) return { command: command[1] };
  if (facts.role === 'standby' && writing.test(text)) {
    const verb = text.split(' ', 1)[0]?.toUpperCase() ?? '';
    return { error: READ_ONLY, message: `cannot execute ${verb} in a read-only transaction` };
  }
  const shown = /^show (\w+)$/.exec(text)?.[1];
  if (shown !== undefined) return { rows: [{ [shown]: settingOf(shown, facts) }] };
  const list = /^select (.*)$/.exec(text)?.[1];
  const row = list === undefined ? undefined : rowOf(list, values, facts);
  return row ?? { error: FEATURE_NOT_SUPPORTED, message: `the fake has no reply to: ${text}` };
}

/** One row, if every item of the list is supported. */
function rowOf(
  list: string,
  values: readonly BoundValue[],
  facts: ServerFacts,
): FakeReply | undefined {
  const row: Record<string, Value> = {};
  for (const item of itemsOf(list)) {
    const [, expression = '', alias] = /^(.*?)(?: as "?(\w+)"?)?$/.exec(item) ?? [];
    const bare = expression.replaceAll(/::\w+/g, '').trim();
    if (facts.role === 'standby' && /\bpg_current_wal_/.test(bare)) {
      return { error: NOT_WHILE_RECOVERING, message: 'recovery is in progress' };
    }
    const value = valueOf(bare, values, facts);
    if (value === undefined) return undefined;
    row[alias ?? /^(\w+)\(/.exec(bare)?.[1] ?? '?column?'] = value;
  }
  return { rows: [row] };
}

function itemsOf(list: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let item = '';
  for (const [piece] of list.matchAll(/'(?:[^']|'')*'|[\s\S]/g)) {
    depth += Number(piece === '(') - Number(piece === ')');
    if (piece !== ',' || depth > 0) {
      item += piece;
      continue;
    }
    items.push(item.trim());
    item = '';
  }
  return [...items, item.trim()];
}

function valueOf(
  expression: string,
  values: readonly BoundValue[],
  facts: ServerFacts,
): Value | undefined {
  if (/^-?\d+$/.test(expression)) return Number(expression);
  if (/^'[^']*'$/.test(expression)) return expression.slice(1, -1);
  const parameter = /^\$(\d+)$/.exec(expression)?.[1];
  if (parameter !== undefined) {
    const value = values[Number(parameter) - 1];
    return value instanceof Uint8Array ? undefined : value;
  }
  const setting = /^current_setting\('(\w+)'(?:, ?true)?\)$/.exec(expression)?.[1];
  if (setting !== undefined) return settingOf(setting, facts);
  const known: Readonly<Record<string, Value>> = {
    null: null,
    true: true,
    false: false,
    'pg_is_in_recovery()': facts.role === 'standby',
    'pg_backend_pid()': facts.processId,
    'pg_current_wal_insert_lsn()': facts.lsn,
    'pg_current_wal_lsn()': facts.lsn,
    'pg_current_wal_flush_lsn()': facts.lsn,
    'pg_last_wal_replay_lsn()': facts.role === 'standby' ? facts.replayLsn : null,
    'pg_last_wal_receive_lsn()': facts.role === 'standby' ? facts.replayLsn : null,
  };
  if (Object.hasOwn(known, expression)) return known[expression];
  if (expression.startsWith('pg_walfile_name(')) return walFileName(facts);
  const head = /^(?:left|substr)\((pg_walfile_name\(.*\)), ?(?:1, ?)?(\d+)\)$/.exec(expression);
  return head === null ? undefined : walFileName(facts).slice(0, Number(head[2]));
}

/** Format: timeline, high half of the position, segment within it, each as eight hexadecimal digits. */
function walFileName({ timeline, lsn }: ServerFacts): string {
  const [high = '0', low = '0'] = lsn.split('/');
  const segment = Math.floor(Number.parseInt(low, 16) / WAL_SEGMENT_BYTES);
  return [timeline, Number.parseInt(high, 16), segment]
    .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
    .join('');
}

function settingOf(name: string, { role }: ServerFacts): string {
  const isStandby = role === 'standby' ? 'on' : 'off';
  const settings: Readonly<Record<string, string>> = {
    in_hot_standby: isStandby,
    transaction_read_only: isStandby,
    default_transaction_read_only: 'off',
    server_version: '18.0',
    server_version_num: '180000',
  };
  return settings[name] ?? '';
}
