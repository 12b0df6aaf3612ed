import { NameResolver } from './name-resolver.ts';
import { type ResolverSettings, parseResolverOptions } from './options.ts';
import { openChannel } from './queries/channel.ts';
import { createNameServers } from './queries/name-servers.ts';
import type { NameSource, Resolver, ResolverOptions } from './resolver.ts';
import {
  type FollowedFile,
  type ResolvConf,
  followFile,
  parseHosts,
  parseResolvConf,
} from './system-files.ts';

/**
 * Makes a resolver. Nothing is sent before the first name is asked for, and an idle resolver does not hold the process.
 * @throws InvalidOptionError
 */
export function createResolver(options: ResolverOptions = {}): Resolver {
  const settings = parseResolverOptions(options);
  const files: Pick<FollowedFile<unknown>, 'stop' | 'ensureRead'>[] = [];
  const held = {
    ensureRead: () => files.forEach((file) => file.ensureRead()),
    close: () => files.forEach((file) => file.stop()),
  };
  const { hostsFile, reloadEveryMs, clock } = settings;
  const { source, conf, file, onChange } = sourceOf(settings);
  const resolver = new NameResolver(settings, source, rulesIn(settings, conf), held);
  onChange((changed) => resolver.setRules(rulesIn(settings, changed)));
  if (file !== undefined) files.push(file);
  if (hostsFile !== false) {
    const onHosts = (hosts: ReturnType<typeof parseHosts>): void => resolver.setHosts(hosts);
    const followed = followFile(hostsFile, reloadEveryMs, clock, parseHosts, onHosts);
    resolver.setHosts(followed.value);
    files.push(followed);
  }
  return resolver;
}

interface SourceInUse {
  readonly source: NameSource;
  /** What is in force beside the options. */
  readonly conf: ResolvConf;
  /** Calls the listener when it changes. */
  readonly onChange: (listener: (conf: ResolvConf) => void) => void;
  /** Where it is from. */
  readonly file?: FollowedFile<ResolvConf>;
}

const NO_CONF: ResolvConf = { servers: [], search: [], ndots: 1 };

function sourceOf(settings: ResolverSettings): SourceInUse {
  const { source, nameservers, clock, random, resolvConf, reloadEveryMs } = settings;
  const unchanging = { conf: NO_CONF, onChange: () => {} };
  if (source !== undefined) return { source, ...unchanging };
  const servers = createNameServers({ open: openChannel, clock, random });
  if (nameservers !== undefined) {
    servers.replace(nameservers);
    return { source: servers, ...unchanging };
  }
  let listener: (conf: ResolvConf) => void = () => {};
  const onChange = (conf: ResolvConf): void => {
    servers.replace(conf.servers);
    listener(conf);
  };
  const followed = followFile(resolvConf, reloadEveryMs, clock, parseResolvConf, onChange);
  servers.replace(followed.value.servers);
  return {
    source: servers,
    conf: followed.value,
    file: followed,
    onChange(given) {
      listener = given;
    },
  };
}

function rulesIn(settings: ResolverSettings, conf: ResolvConf): ResolvConf {
  const { search = conf.search, ndots = conf.ndots } = settings;
  return { ...conf, search, ndots };
}
