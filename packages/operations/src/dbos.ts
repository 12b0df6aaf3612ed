/** Durable runs on DBOS: Postgres stores them, and any process goes on with those of one that died. */
export { type DbosRunnerOptions, createDbosRunner } from './durable/dbos/dbos-runner.ts';
export { RunnerExistsError } from './durable/dbos/runner-exists-error.ts';
