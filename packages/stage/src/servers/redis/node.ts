import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imageOf } from '../../images.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment } from '../../system/executable.ts';
import type { ContainerSpec, ServerSpec } from '../../topology/server-spec.ts';
import { askRedis } from './command.ts';

/** Directives of redis.conf by name. */
export type RedisSettings = Readonly<Record<string, string>>;

/** Directives that the stage sets: the endpoint, the data folder and the output of the server. */
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

const NO_PERSISTENCE: RedisSettings = { save: '""', appendonly: 'no' };

const CONTAINER_PORT = 6_379;
/** In the official image the server may write to its data folder only, and some servers rewrite their file. */
const CONTAINER_DATA = '/data';
const CONTAINER_CONF = '/etc/holdfast-redis.conf';

/** One Redis process, standalone or in a topology. */
interface RedisNode {
  readonly name: string;
  /** Its URL up to the host. */
  readonly prefix: string;
  readonly settings: RedisSettings;
  /** Its role in a topology; absent for a standalone server. */
  readonly member?: {
    readonly isSentinel: boolean;
    /** Lines of its configuration after the settings. */
    readonly lines: readonly string[];
    /** Files in its data folder. */
    readonly files: Readonly<Record<string, string>>;
    /** Whether a server that answers PING is ready. Default: it is. */
    isReady?(endpoint: Endpoint, signal: AbortSignal): Promise<boolean>;
  };
}

/** A Redis (or Valkey) described for every mode. */
export function redisNode(node: RedisNode, endpoint: Endpoint, env: Environment): ServerSpec {
  const { name, prefix, member } = node;
  const flags = member?.isSentinel === true ? ['--sentinel'] : [];
  const files = Object.entries(member?.files ?? {});
  const confFor = (own: RedisSettings): string =>
    redisConf(node.settings, { ...own, daemonize: 'no' }) +
    (member?.lines ?? []).map((line) => `${line}\n`).join('');
  return {
    name,
    url: ({ host, port }) => `${prefix}${host}:${port}`,
    async probe(at, signal) {
      const reply = await askRedis(at, ['PING'], signal);
      // Other errors such as -NOAUTH show that the server is up.
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
        await writeFile(conf, confFor({ ...own, dir: JSON.stringify(data) }));
        return [conf, ...flags];
      },
    },
    container: member === undefined ? bridged() : inMachineNetwork(),
  };

  function bridged(): ContainerSpec {
    // Clients connect over the container's bridge; the port is published on loopback only.
    const own = { bind: '0.0.0.0', port: String(CONTAINER_PORT), 'protected-mode': 'no' };
    return {
      image: imageOf('redis', env),
      port: CONTAINER_PORT,
      command: ['redis-server', CONTAINER_CONF],
      data: CONTAINER_DATA,
      files: [{ path: CONTAINER_CONF, content: confFor({ ...own, dir: CONTAINER_DATA }) }],
    };
  }

  /** Members and clients must be able to use the same advertised endpoint. */
  function inMachineNetwork(): ContainerSpec {
    const own = { bind: endpoint.host, port: String(endpoint.port), 'protected-mode': 'yes' };
    const conf = `${CONTAINER_DATA}/redis.conf`;
    return {
      image: imageOf('redis', env),
      port: undefined,
      command: ['redis-server', conf, ...flags],
      data: CONTAINER_DATA,
      files: [
        { path: conf, content: confFor({ ...own, dir: CONTAINER_DATA }) },
        ...files.map(([file, content]) => ({ path: `${CONTAINER_DATA}/${file}`, content })),
      ],
    };
  }
}

/** The text of a redis.conf: the caller's settings override the defaults, and the stage's own override both. */
export function redisConf(settings: RedisSettings, own: RedisSettings): string {
  const lines = Object.entries({ ...NO_PERSISTENCE, ...settings, ...own }).map(
    ([directive, value]) => `${directive} ${value === '' ? '""' : value}\n`,
  );
  return lines.join('');
}
