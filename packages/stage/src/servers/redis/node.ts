import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imageOf } from '../../images.ts';
import type {
  Address,
  ContainerSpec,
  Environment,
  ServerSpec,
} from '../../topology/server-spec.ts';
import { askRedis } from './command.ts';

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
/** Of the official image the server owns only its data folder, and some servers write to their file. */
const CONTAINER_DATA = '/data';
const CONTAINER_CONF = '/etc/holdfast-redis.conf';

/** One Redis process, whatever its part in a topology. */
export interface RedisNode {
  readonly name: string;
  /** What its URL begins with up to the host. */
  readonly prefix: string;
  readonly settings: RedisSettings;
  /** Its part in a topology; absent for one that stands alone. */
  readonly member?: {
    readonly isSentinel: boolean;
    /** Lines of its configuration, after the settings. */
    readonly lines: readonly string[];
    /** What it finds in its data folder. */
    readonly files: Readonly<Record<string, string>>;
    /** Whether one that answers PING is ready; it is where this is absent. */
    isReady?(address: Address, signal: AbortSignal): Promise<boolean>;
  };
}

/** A Redis (or Valkey) described for every mode. */
export function redisNode(node: RedisNode, address: Address, env: Environment): ServerSpec {
  const { name, prefix, member } = node;
  const flags = member?.isSentinel === true ? ['--sentinel'] : [];
  const files = Object.entries(member?.files ?? {});
  const confAt = (where: RedisSettings): string =>
    redisConf(node.settings, { ...where, daemonize: 'no' }) +
    (member?.lines ?? []).map((line) => `${line}\n`).join('');
  return {
    name,
    url: ({ host, port }) => `${prefix}${host}:${port}`,
    async probe(at, signal) {
      const reply = await askRedis(at, ['PING'], signal);
      // -NOAUTH and the like are answers too: the server is up, and particular.
      const isLoading = reply.kind === 'error' && reply.text.startsWith('LOADING');
      if (isLoading) return 'listening';
      return (await member?.isReady?.(at, signal)) === false ? 'listening' : 'ready';
    },
    local: {
      async prepare(directory, { host, port }) {
        const data = join(directory, 'data');
        const conf = join(directory, 'redis.conf');
        const own = { bind: host, port: String(port), 'protected-mode': 'yes' };
        await mkdir(data);
        for (const [file, content] of files) await writeFile(join(data, file), content);
        await writeFile(conf, confAt({ ...own, dir: JSON.stringify(data) }));
        return [conf, ...flags];
      },
    },
    container: member === undefined ? bridged() : unbridged(),
  };

  function bridged(): ContainerSpec {
    // Clients come over the container's bridge; outside, the port is published on loopback only.
    const own = { bind: '0.0.0.0', port: String(CONTAINER_PORT), 'protected-mode': 'no' };
    return {
      image: imageOf('redis', env),
      port: CONTAINER_PORT,
      command: ['redis-server', CONTAINER_CONF],
      data: CONTAINER_DATA,
      files: [{ path: CONTAINER_CONF, content: confAt({ ...own, dir: CONTAINER_DATA }) }],
    };
  }

  /** The address that members and clients are told must be the same one for both. */
  function unbridged(): ContainerSpec {
    const own = { bind: address.host, port: String(address.port), 'protected-mode': 'yes' };
    const conf = `${CONTAINER_DATA}/redis.conf`;
    return {
      image: imageOf('redis', env),
      port: undefined,
      command: ['redis-server', conf, ...flags],
      data: CONTAINER_DATA,
      files: [
        { path: conf, content: confAt({ ...own, dir: CONTAINER_DATA }) },
        ...files.map(([file, content]) => ({ path: `${CONTAINER_DATA}/${file}`, content })),
      ],
    };
  }
}

/** The text of a redis.conf: the caller's settings over the defaults, the stage's own last. */
export function redisConf(settings: RedisSettings, own: RedisSettings): string {
  const lines = Object.entries({ ...NOTHING_KEPT, ...settings, ...own }).map(
    ([directive, value]) => `${directive} ${value === '' ? '""' : value}\n`,
  );
  return lines.join('');
}
