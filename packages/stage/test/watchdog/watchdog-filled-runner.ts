/**
 * A program that opens a stage with disks of its own, fills one, lets one server spin and freezes the other, and
 * waits to be killed.
 */
import { dirname } from 'node:path';
import { askRedis } from '../../src/servers/redis/command.ts';
import { openStage } from '../../src/stage.ts';
import { holdingsOf } from '../servers/postgres-session.ts';

const stage = await openStage({
  mode: 'local',
  redis: true,
  postgres: { pgbouncer: true },
  diskMaxBytes: 134_217_728,
});
const { primary } = stage.postgres;
const holdings = await holdingsOf(primary);
const signal = new AbortController().signal;
const reply = await askRedis(stage.redis, ['CONFIG', 'GET', 'dir'], signal);
const dir = reply.kind === 'list' ? reply.items[1] : undefined;
const folder = dir?.kind === 'value' ? dirname(dir.value ?? '') : '';
await stage.redis.fill('disk');
askRedis(stage.redis, ['EVAL', 'while true do end', '0'], signal).catch(() => undefined);
await primary.freeze();
process.stdout.write(`${JSON.stringify({ folders: [folder, dirname(holdings.folder)] })}\n`);
process.stdin.resume();
