/** A fake Postgres server for tests, which starts within milliseconds. */
export { type FakeBehavior, type Reception } from './postgres/behavior.ts';
export {
  type FakePostgres,
  type FakePostgresEvents,
  type FakePostgresOptions,
  type LoggedSession,
  type LoggedStatement,
  createFakePostgres,
} from './postgres/fake-postgres.ts';
export { type Ending } from './postgres/response-writer.ts';
export {
  type ScriptedReply,
  type ScriptedDelivery,
  type FakeRow,
  type Match,
  type ReceivedStatement,
  type FakeReply,
  type ScriptLine,
} from './postgres/script.ts';
