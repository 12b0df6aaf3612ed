import { expect, test } from '@jest/globals';
import { mayLeaveState } from '../../src/connection/session-state.ts';

test.each([
  'set search_path = a',
  'SET TIME ZONE utc',
  ' \n set x.y = 1',
  '/* why; */ set x.y = 1',
  '-- why\nset x.y = 1',
  'select 1; set x.y = 1',
  'reset all',
  'listen news',
  'load $$lib$$',
  'prepare p as select 1',
  'declare c cursor with hold for select 1',
  'execute p',
  'call p()',
  'do $$ begin end $$',
  'create temp table t (a int)',
  'CREATE TEMPORARY VIEW v AS SELECT 1',
  'create table pg_temp.t (a int)',
  'select 1 into temp t',
  'with x as (select pg_advisory_lock(1)) select 1',
  'select "pg_try_advisory_lock"(1)',
  "select set_config('a.b', 'c', false)",
])('%j may leave something', (text) => {
  expect(mayLeaveState(text)).toBe(true);
});

test.each([
  '',
  ';',
  'select 1',
  ' SELECT 1;',
  "insert into t values ('set x = 1; listen y')",
  'update t set a = 1',
  'select 1; update t set a = 1; delete from t',
  'with x as (select 1) select * from x',
  'select template from t',
  '/* set x = 1; */ select 1',
  'begin; insert into t values (1); commit',
  'create table t (a int)',
  'discard all',
  'rollback',
])('%j leaves nothing', (text) => {
  expect(mayLeaveState(text)).toBe(false);
});
