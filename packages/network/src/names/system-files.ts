import { type Stats, readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { types } from 'node:util';
import type { Clock, Timer } from '@holdfast/foundation';
import { classifyFailure } from '../dialing/classify-failure.ts';
import { type SearchRules, familyOf } from './hostname.ts';
import { type ServerAddress, parseServer } from './options.ts';

/** What resolv.conf says. */
export interface ResolvConf extends SearchRules {
  readonly servers: readonly ServerAddress[];
}

/** Addresses by name. */
export type Hosts = ReadonlyMap<
  string,
  { readonly 4: readonly string[]; readonly 6: readonly string[] }
>;

/** The server that glibc and musl ask when the file names none. */
const LOCAL_SERVER: ServerAddress = { address: '127.0.0.1', port: 53 };

/** Unknown lines are ignored; the last `search` or `domain` counts. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: ServerAddress[] = [];
  let search: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .split(/\s+/)
      .filter(Boolean);
    const server = keyword === 'nameserver' ? parseServer(values[0] ?? '') : undefined;
    if (server !== undefined) servers.push(server);
    if (keyword === 'search' || keyword === 'domain') {
      const domains = values.map((domain) => domain.toLowerCase().replace(/\.$/, ''));
      search = domains.filter((domain) => domain !== '');
    }
    if (keyword !== 'options') continue;
    const [, dots] = values.map((value) => /^ndots:(\d+)$/.exec(value)).find(Boolean) ?? [];
    if (dots !== undefined) ndots = Math.min(15, Number(dots));
  }
  return { servers: servers.length === 0 ? [LOCAL_SERVER] : servers, search, ndots };
}

export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, { 4: string[]; 6: string[] }>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*$/, '').split(/\s+/).filter(Boolean);
    const family = familyOf(address);
    if (family === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, '');
      const found = hosts.get(key) ?? { 4: [], 6: [] };
      hosts.set(key, found);
      if (!found[family].includes(address)) found[family].push(address);
    }
  }
  return hosts;
}

/** A file that is followed. */
export interface FollowedFile<T> {
  readonly value: T;
  readonly stop: () => void;
  /**
   * Reads it now if it has not been read for want of a descriptor: without it, nothing is known.
   * @throws that shortage
   */
  readonly ensureRead: () => void;
}

/**
 * Reads a file at once, and calls `onChange` with the result when it changes. By its times, not by inotify: what a
 * container runtime mounts over the file is not seen otherwise. What cannot be read for want of a descriptor stays as it
 * was, and is read later. Does not hold the process.
 */
export function followFile<T>(
  path: string,
  everyMs: number,
  clock: Clock,
  parse: (text: string) => T,
  onChange: (value: T) => void,
): FollowedFile<T> {
  const first = readNow(path);
  let seen = first.version;
  let isUnread = first.shortage !== undefined;
  let timer: Timer | undefined;
  let isStopped = false;
  const take = (text: string, version: string): void => {
    seen = version;
    isUnread = false;
    if (!isStopped) onChange(parse(text));
  };
  const check = async (): Promise<void> => {
    const present = versionOf(await stat(path).catch(() => undefined));
    if (present !== seen) {
      const text = await readFile(path, 'utf8').catch((error: unknown) =>
        isShortage(error) ? undefined : '',
      );
      if (text !== undefined) take(text, present);
    }
    if (!isStopped) arm();
  };
  const arm = (): void => {
    timer = clock.schedule(everyMs, () => void check(), { holdsProcess: false });
  };
  arm();
  return {
    value: parse(first.text),
    stop() {
      isStopped = true;
      timer?.cancel();
    },
    ensureRead() {
      if (!isUnread) return;
      const { text, version, shortage } = readNow(path);
      if (shortage !== undefined) throw shortage;
      take(text, version);
    },
  };
}

function isShortage(error: unknown): boolean {
  return classifyFailure(error) === 'resources';
}

function versionOf(stats: Stats | undefined): string {
  return stats === undefined ? 'absent' : `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}

/** A file that is not there, or may not be read, is empty. */
function readNow(path: string): {
  readonly text: string;
  readonly version: string;
  readonly shortage?: Error;
} {
  try {
    const version = versionOf(statSync(path));
    return { text: readFileSync(path, 'utf8'), version };
  } catch (error) {
    const absent = { text: '', version: versionOf(undefined) };
    return types.isNativeError(error) && isShortage(error)
      ? { ...absent, shortage: error }
      : absent;
  }
}
