/** What a test needs to be a Postgres in milliseconds. */
export { type FakeBehaviour, type Reception } from './postgres/behaviour.ts';
export {
  type FakePostgres,
  type FakePostgresEvents,
  type FakePostgresOptions,
  type LoggedSession,
  type LoggedStatement,
  createFakePostgres,
} from './postgres/fake-postgres.ts';
export { type Ending } from './postgres/outlet.ts';
export {
  type Answer,
  type Delivery,
  type FakeRow,
  type Match,
  type Question,
  type Reply,
  type ScriptLine,
} from './postgres/script.ts';
