import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, get } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { expect } from '@jest/globals';
import type { ServerUnderContract } from '../../src/contract.ts';
import { abortable } from '@holdfast/foundation';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';
import { textFieldOf } from '../../src/system/fields.ts';
import { openGitClient } from './git-client.ts';
import { UNHURRIED } from '../servers/redis-contract.ts';

/** An upstream in whose routes the contract stores values. */
export async function openUpstream(mode: StageMode): Promise<ServerUnderContract> {
  const stage = await openStage({ mode, upstream: true, ...UNHURRIED });
  const { upstream } = stage;
  const stored = new Map<string, string>();
  return {
    server: upstream,
    close: () => stage.close(),
    ping: async (signal) => void (await read(`${upstream.url}/health`, signal)),
    async store(key, value) {
      stored.set(`/${encodeURIComponent(key)}`, value);
      await upstream.script([...stored].map(([path, body]) => ({ path, body })));
    },
    recall: (key, signal) => read(`${upstream.url}/${encodeURIComponent(key)}`, signal),
    startLine: /upstream listens on/,
  };
}

/** An API of eSIM Go in whose bundles the contract stores values. */
export async function openEsimGo(mode: StageMode): Promise<ServerUnderContract> {
  const esimGoOptions = { bundles: [], rateLimit: false } as const;
  const stage = await openStage({ mode, esimGo: esimGoOptions, ...UNHURRIED });
  const { esimGo } = stage;
  const headers = { 'x-api-key': esimGo.apiKey };
  const stored = new Map<string, string>();
  const found = async (key: string, signal: AbortSignal): Promise<string> => {
    const path = `/v2.5/catalogue/bundle/${encodeURIComponent(key)}`;
    return read(`${esimGo.url}${path}`, signal, headers);
  };
  return {
    server: esimGo,
    close: () => stage.close(),
    ping: async (signal) => void (await found('nothing', signal)),
    async store(key, value) {
      stored.set(key, value);
      const bundles = Array.from(stored, ([name, description]) => ({ name, description }));
      await esimGo.change({ bundles });
    },
    async recall(key, signal) {
      const bundle: unknown = JSON.parse(await found(key, signal));
      return textFieldOf(bundle, 'description') ?? null;
    },
    startLine: /esim-go listens on/,
  };
}

/** A DNS server in whose TXT records the contract stores values. */
export async function openDns(mode: StageMode): Promise<ServerUnderContract> {
  const records = [{ name: 'a.test', type: 'A', address: '127.0.0.1' }] as const;
  const stage = await openStage({ mode, dns: { records }, ...UNHURRIED });
  const { dns } = stage;
  const patient = { timeoutMs: 10_000, tries: 1 };
  const nameOf = (key: string): string => `${key.replaceAll(' ', '-')}.test`;
  const stored = new Map<string, string>();
  return {
    server: dns,
    close: () => stage.close(),
    ping: async (signal) =>
      void (await abortable(dns.resolver(patient).resolve4('a.test'), signal)),
    async store(key, text) {
      stored.set(nameOf(key), text);
      const texts = [...stored].map(([name, each]) => ({ name, type: 'TXT', text: each }) as const);
      await dns.serve([...records, ...texts]);
    },
    async recall(key, signal) {
      const [found] = await abortable(dns.resolver(patient).resolveTxt(nameOf(key)), signal);
      return found?.join('') ?? null;
    },
    startLine: /dns listens on/,
  };
}

/** A git remote, and a client that pushes the values of the contract. */
export async function openGit(mode: StageMode): Promise<ServerUnderContract> {
  const client = await openGitClient();
  // In compose it is the same remote each time, with earlier pushes.
  const name = `site-${randomUUID()}`;
  const stage = await openStage({ mode, git: { repositories: [name] }, ...UNHURRIED });
  const { git } = stage;
  const { url } = git.repository(name);
  await client.clone(url, 'site');
  return {
    server: git,
    async close() {
      await stage.close();
      await client.close();
    },
    ping: async (signal) => void (await read(`${url}/info/refs?service=git-upload-pack`, signal)),
    async store(key, value) {
      await client.commit('site', key, value);
      await client.must('site', 'push', '--quiet', 'origin', 'main');
    },
    async recall(key) {
      await client.must('site', 'fetch', '--quiet', 'origin');
      return client.must('site', 'show', `origin/main:${key}`);
    },
    startLine: /git listens on/,
  };
}

/** A TLS server with a certificate for each value that the contract stores. */
export async function openTls(mode: StageMode): Promise<ServerUnderContract> {
  const stage = await openStage({ mode, tls: true, ...UNHURRIED });
  const { tls } = stage;
  const stored = new Map<string, string>();
  const shown = async (signal: AbortSignal): Promise<string> => {
    const socket = connectTls({ host: tls.host, port: tls.port, ca: tls.ca });
    try {
      await once(socket, 'secureConnect', { signal });
      return socket.getPeerX509Certificate()?.fingerprint256 ?? '';
    } catch (error) {
      // The contract expects the reason of the abort from a silent server.
      signal.throwIfAborted();
      throw error;
    } finally {
      socket.destroy();
    }
  };
  let newest = '';
  return {
    server: tls,
    close: () => stage.close(),
    ping: async (signal) => void (await shown(signal)),
    async store(key, value, signal) {
      // Each value replaces the former one, which must have been kept until now.
      if (stored.size > 0) expect(await shown(signal)).toBe(newest);
      await tls.rotate();
      newest = await shown(signal);
      stored.set(key, value);
    },
    recall: async (key, signal) =>
      (await shown(signal)) === newest ? (stored.get(key) ?? null) : null,
    startLine: /tls listens on/,
  };
}

async function read(
  url: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  // A connection for each: one that is kept may be found broken by a fault that is over.
  const asked = get(url, { agent: false, headers, signal });
  try {
    const [answer]: IncomingMessage[] = await once(asked, 'response');
    return answer === undefined ? '' : await textOf(answer);
  } catch (error) {
    // The contract expects the reason of the abort from a silent server.
    signal.throwIfAborted();
    throw error;
  }
}
