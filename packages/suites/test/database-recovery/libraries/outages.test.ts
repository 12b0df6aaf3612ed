import { graphileWorker, pgBoss } from '../../../src/database/libraries/jobs.ts';
import {
  CALLERS,
  DOWNTIME_MS,
  runLibraryOutage,
} from '../../../src/database/libraries/library-outage.ts';
import {
  knexWithConnection,
  kysely,
  mikroOrm,
  prismaAdapter,
  typeOrm,
} from '../../../src/database/libraries/orms.ts';
import { runStreamsThroughKill } from '../../../src/database/libraries/streams.ts';
import { migrations, sessionStore } from '../../../src/database/libraries/tools.ts';
import { openPostgresFixture } from '../../../src/database/postgres-fixture.ts';
import { scenario } from '../../../src/database/scenario.ts';

/** On the pool with the interface of pg, and for the note on that of pg. */
const libraries = [
  {
    promise: 'TypeORM loses only the calls under way when Postgres is killed',
    open: typeOrm,
  },
  {
    promise: 'MikroORM loses only the calls under way when Postgres is killed',
    open: mikroOrm,
  },
  {
    promise: 'Kysely loses only the calls under way when Postgres is killed',
    open: kysely,
  },
  {
    promise: 'the adapter of Prisma loses only the calls under way when Postgres is killed',
    open: prismaAdapter,
  },
  {
    promise: 'knex with a given connection loses only the calls under way when Postgres is killed',
    open: knexWithConnection,
  },
  {
    promise: 'graphile-worker loses only the calls under way when Postgres is killed',
    open: graphileWorker,
  },
  {
    promise: 'pg-boss loses only the calls under way when Postgres is killed',
    open: pgBoss,
  },
  {
    promise: 'connect-pg-simple loses only the calls under way when Postgres is killed',
    open: sessionStore,
  },
  {
    promise: 'node-pg-migrate loses only the calls under way when Postgres is killed',
    open: migrations,
  },
];

for (const { promise, open } of libraries) {
  scenario(
    { promise, fault: `kill -9, start after ${DOWNTIME_MS} ms, ${CALLERS} callers` },
    openPostgresFixture,
    (fixture) => runLibraryOutage(fixture, open),
  );
}

scenario(
  {
    promise: 'a stream of an ORM ends with an error when Postgres is killed, and the process lives',
    fault: 'kill -9 while TypeORM, MikroORM and Kysely read rows',
  },
  openPostgresFixture,
  runStreamsThroughKill,
);
