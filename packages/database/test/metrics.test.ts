import { afterEach, expect, test } from '@jest/globals';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import { type Database, createDatabase } from '@holdfast/database';
import { registerDatabaseMetrics as registerOnMeter } from '@holdfast/database/opentelemetry';
import { registerDatabaseMetrics } from '@holdfast/database/prometheus';
import { type FakePostgres, createFakePostgres } from '@holdfast/emulators/postgres';

/** Reads only on request. */
class AskedReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

let server: FakePostgres | undefined;
let database: Database | undefined;

afterEach(async () => {
  await database?.close({ deadlineMs: 0 });
  await server?.close();
});

async function used(): Promise<{ db: Database; host: string }> {
  server = await createFakePostgres({});
  database = createDatabase({ hosts: server.url, max: 7 });
  await database.query('select 1');
  await database.query('select 2');
  return { db: database, host: `${server.host}:${server.port}` };
}

test('Prometheus reads the numbers when it scrapes, by the names of the semantic conventions', async () => {
  const { db, host } = await used();
  const registry = new Registry();
  const remove = registerDatabaseMetrics({ database: db, registry });
  const text = await registry.metrics();
  expect(text).toContain(`db_client_connection_count{pool="${host}",state="idle"} 1`);
  expect(text).toContain(`db_client_connection_count{pool="${host}",state="used"} 0`);
  expect(text).toContain(`db_client_connection_max{pool="${host}"} 7`);
  expect(text).toContain('db_client_query_count_total 2');
  expect(text).toContain(`db_client_connection_wait_time_seconds_count{pool="${host}"} 2`);
  expect(text).toContain(
    `db_client_connection_wait_time_seconds_bucket{pool="${host}",le="+Inf"} 2`,
  );
  remove();
  expect(await registry.metrics()).not.toContain('db_client');
});

test('an OpenTelemetry meter reads the same numbers until it is unregistered', async () => {
  const { db, host } = await used();
  const reader = new AskedReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter('test');
  const stop = registerOnMeter({ database: db, meter });
  const read = async (name: string): Promise<unknown> => {
    const { resourceMetrics } = await reader.collect();
    const found = resourceMetrics.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .find(({ descriptor }) => descriptor.name === name);
    return found?.dataPoints.map(({ attributes, value }) => ({ attributes, value }));
  };
  expect(await read('db.client.connection.count')).toContainEqual({
    attributes: { 'db.client.connection.pool.name': host, 'db.client.connection.state': 'idle' },
    value: 1,
  });
  expect(await read('db.client.query.count')).toEqual([{ attributes: {}, value: 2 }]);
  expect(await read('db.client.connection.use_time.count')).toEqual([
    { attributes: { 'db.client.connection.pool.name': host }, value: 2 },
  ]);
  stop();
  await db.query('select 3');
  expect(await read('db.client.query.count')).toEqual([{ attributes: {}, value: 2 }]);
});

test('an invalid database is rejected', () => {
  expect(() =>
    registerDatabaseMetrics({ database: Object.create(null), registry: new Registry() }),
  ).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field: 'database' }));
});
