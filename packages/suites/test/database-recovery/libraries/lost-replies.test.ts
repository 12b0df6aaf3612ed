import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg, { Pool } from '@holdfast/database/pg';
import { createResilienceStack } from '@holdfast/resilience';
import { type Stage, openStage } from '@holdfast/stage';
import {
  knexWithConnection,
  kysely,
  mikroOrm,
  typeOrm,
} from '../../../src/database/libraries/orms.ts';
import type { OpenSession } from '../../../src/database/libraries/library-session.ts';

let stage: Stage<{ postgres: true }>;
beforeAll(async () => {
  stage = await openStage({ postgres: true });
});
afterAll(() => stage.close());

/** A way to the server on which the reply to the first message with `word` is lost. */
async function cutAt(word: RegExp): Promise<{ url: string; arm(): void; close(): void }> {
  const to = new URL(stage.postgres.primary.url);
  let isArmed = false;
  const server = createServer((caller: Socket) => {
    const upstream = connect(Number(to.port), to.hostname);
    let isLost = false;
    for (const socket of [caller, upstream]) socket.on('error', () => undefined);
    caller.on('data', (data) => {
      if (isArmed && word.test(data.toString('latin1'))) {
        isArmed = false;
        isLost = true;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (isLost) caller.resetAndDestroy();
      else caller.write(data);
    });
    caller.on('close', () => upstream.destroy());
    upstream.on('close', () => caller.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = new URL(to);
  url.hostname = '127.0.0.1';
  url.port = String(typeof address === 'object' ? address?.port : '');
  return { url: url.href, arm: () => void (isArmed = true), close: () => void server.close() };
}

const sessions: readonly [string, OpenSession, RegExp][] = [
  ['TypeORM', typeOrm, /commit/i],
  ['MikroORM', mikroOrm, /commit|insert/i],
  ['Kysely', kysely, /commit|insert/i],
  ['knex', knexWithConnection, /insert/i],
];

test.each(sessions)(
  '%s under a stack writes nothing twice when the reply is lost',
  async (_, open, word) => {
    const direct = new Pool({ connectionString: stage.postgres.primary.url });
    const cut = await cutAt(word);
    const pool = new Pool({ connectionString: cut.url, max: 2 });
    try {
      await direct.query('drop table if exists pieces; create table pieces (number int)');
      const session = await open({ pool, driver: pg, url: cut.url });
      const stack = createResilienceStack({ retry: { initialDelayMs: 1 } });
      cut.arm();
      let attempts = 0;
      const saved = await stack
        .execute(() => {
          attempts += 1;
          return session.work(attempts);
        })
        .then(
          () => true,
          () => false,
        );
      const { rows } = await direct.query('select number from pieces');
      expect({ saved, attempts, rows: rows.length <= 1 }).toEqual({
        saved: false,
        attempts: 1,
        rows: true,
      });
      await session.close();
    } finally {
      cut.close();
      for (const each of [pool, direct]) await each.holdfast.close({ deadlineMs: 100 });
    }
  },
);
