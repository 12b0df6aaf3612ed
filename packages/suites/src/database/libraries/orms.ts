import { EntitySchema as MikroSchema, MikroORM } from '@mikro-orm/postgresql';
import { PrismaPg } from '@prisma/adapter-pg';
import knexOf from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import Cursor from 'pg-cursor';
import { DataSource, EntitySchema } from 'typeorm';
import { type OpenSession, type PoolUnderTest, donePieces } from './library-session.ts';

/** TypeORM makes the pool itself, with the driver that it is given. */
export const typeOrm: OpenSession = async ({ driver, url }) => {
  const Piece = new EntitySchema<{ number: number }>({
    name: 'pieces',
    columns: { number: { type: Number, primary: true } },
  });
  const source = new DataSource({
    type: 'postgres',
    url,
    driver,
    entities: [Piece],
    poolErrorHandler: () => undefined,
  });
  await source.initialize();
  return {
    work: (number) =>
      source.transaction(async (manager) => manager.getRepository(Piece).insert({ number })),
    done: donePieces,
    close: () => source.destroy(),
  };
};

export const Piece: MikroSchema<{ number: number }> = new MikroSchema<{ number: number }>({
  name: 'Piece',
  tableName: 'pieces',
  properties: { number: { type: 'number', primary: true } },
});

export function openMikroOrm(pool: PoolUnderTest['pool']): Promise<MikroORM> {
  return MikroORM.init({
    driverOptions: new PostgresDialect({ pool, cursor: Cursor }),
    dbName: 'postgres',
    entities: [Piece],
    ensureDatabase: false,
    allowGlobalContext: false,
    logger: () => undefined,
  });
}

export const mikroOrm: OpenSession = async ({ pool }) => {
  const orm = await openMikroOrm(pool);
  return {
    work: (number) => orm.em.fork().transactional(async (em) => em.insert(Piece, { number })),
    done: donePieces,
    // It leaves the pool to its owner.
    close: async () => undefined,
  };
};

export const kysely: OpenSession = async ({ pool }) => {
  const db = new Kysely<{ pieces: { number: number } }>({ dialect: new PostgresDialect({ pool }) });
  return {
    work: (number) =>
      db.transaction().execute(async (tx) => tx.insertInto('pieces').values({ number }).execute()),
    done: donePieces,
    close: async () => undefined,
  };
};

/** Prisma at the interface of its adapter: its client needs code that is generated. */
export const prismaAdapter: OpenSession = async ({ pool }) => {
  const adapter = await new PrismaPg(pool).connect();
  return {
    async work(number) {
      const tx = await adapter.startTransaction();
      const sql = 'insert into pieces (number) values ($1)';
      const argTypes = [{ scalarType: 'int', arity: 'scalar' } as const];
      try {
        await tx.executeRaw({ sql, args: [number], argTypes });
        // The engine sends COMMIT itself, and then releases the connection.
        await tx.executeRaw({ sql: 'commit', args: [], argTypes: [] });
      } catch (error) {
        await tx.rollback();
        throw error;
      }
      await tx.commit();
    },
    done: donePieces,
    close: () => adapter.dispose(),
  };
};

export const knexWithConnection: OpenSession = async ({ pool }) => {
  const knex = knexOf({ client: 'pg' });
  return {
    async work(number) {
      const client = await pool.connect();
      let failure: unknown;
      try {
        await knex('pieces').connection(client).insert({ number });
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        client.release(failure instanceof Error);
      }
    },
    done: donePieces,
    close: () => knex.destroy(),
  };
};
