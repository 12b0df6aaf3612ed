/** What a test needs to be a Postgres in milliseconds. */
export { type FakeBehaviour, type Reception } from './behaviour.ts';
export {
  type FakePostgres,
  type FakePostgresEvents,
  type FakePostgresOptions,
  type LoggedSession,
  type LoggedStatement,
  createFakePostgres,
} from './fake-postgres.ts';
export { type Ending } from './outlet.ts';
export {
  type Answer,
  type Delivery,
  type FakeRow,
  type Match,
  type Question,
  type Reply,
  type ScriptLine,
} from './script.ts';
