import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imageOf } from '../images.ts';
import type { Environment, ServerKind } from '../server-kind.ts';
import { locateRedis } from './program.ts';
import { askRedis } from './resp.ts';

/** What a Redis is given in redis.conf, name by name. */
export type RedisSettings = Readonly<Record<string, string>>;

/** Directives that belong to the stage: where the server listens, keeps its data and prints. */
export const STAGE_DIRECTIVES: readonly string[] = [
  'bind',
  'port',
  'dir',
  'daemonize',
  'protected-mode',
  'pidfile',
  'logfile',
  'include',
];

const NOTHING_KEPT: RedisSettings = { save: '""', appendonly: 'no' };

const CONTAINER_PORT = 6_379;
const CONTAINER_CONF = '/etc/holdfast-redis.conf';

/** A standalone Redis (or Valkey). */
export function redisServer(settings: RedisSettings, env: Environment): ServerKind {
  const password = settings['requirepass'];
  return {
    name: 'redis',
    url({ host, port }) {
      const credentials = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
      return `redis://${credentials}${host}:${port}`;
    },
    async probe(address, signal) {
      const reply = await askRedis(address, ['PING'], signal);
      // -NOAUTH and the like are answers too: the server is up, and particular.
      const isLoading = reply.kind === 'error' && reply.text.startsWith('LOADING');
      return isLoading ? 'listening' : 'ready';
    },
    local: {
      locate: (context, signal) => locateRedis({ ...context, env }, signal),
      async arrange(directory, { host, port }) {
        const data = join(directory, 'data');
        const conf = join(directory, 'redis.conf');
        await mkdir(data);
        await writeFile(
          conf,
          redisConf(settings, {
            bind: host,
            port: String(port),
            'protected-mode': 'yes',
            dir: JSON.stringify(data),
            daemonize: 'no',
          }),
        );
        return [conf];
      },
    },
    container: {
      image: imageOf('redis', env),
      port: CONTAINER_PORT,
      command: ['redis-server', CONTAINER_CONF],
      files: [
        {
          path: CONTAINER_CONF,
          content: redisConf(settings, {
            bind: '0.0.0.0',
            port: String(CONTAINER_PORT),
            // Clients come over the container's bridge; outside, the port is published on loopback only.
            'protected-mode': 'no',
            dir: '/data',
            daemonize: 'no',
          }),
        },
      ],
    },
  };
}

/** The text of a redis.conf: the caller's settings over the defaults, the stage's own last. */
export function redisConf(settings: RedisSettings, own: RedisSettings): string {
  const lines = Object.entries({ ...NOTHING_KEPT, ...settings, ...own }).map(
    ([directive, value]) => `${directive} ${value === '' ? '""' : value}\n`,
  );
  return lines.join('');
}
