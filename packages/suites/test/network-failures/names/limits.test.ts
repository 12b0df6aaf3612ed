import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { type NameServersFixture, a, openNameServers } from '../../../src/network/name-servers.ts';

const run = promisify(execFile);
const source = join(import.meta.dirname, '../../../src/network');

let servers: NameServersFixture;
let directory: string;
beforeAll(async () => {
  servers = await openNameServers();
  directory = await mkdtemp(join(tmpdir(), 'holdfast-names-'));
});
beforeEach(() => servers.reset());
afterAll(async () => {
  await servers.close();
  await rm(directory, { recursive: true, force: true });
});

/** Why there is no namespace to be had here; `undefined` if there is. */
function namespaceObstacle(): string | undefined {
  try {
    execFileSync(
      'unshare',
      ['-m', '-n', 'sh', '-c', 'ip link set lo up && test -e /etc/resolv.conf'],
      {
        stdio: 'ignore',
        timeout: 10_000,
      },
    );
    return undefined;
  } catch (error) {
    return `unshare -m -n needs root and ip: ${String(error)}`;
  }
}

test('without descriptors a name is not called absent: the error says what is missing, the expired answer serves, and nothing of it is kept', async () => {
  await servers.serve(a('known.test', '127.0.0.7', 1), a('unknown.test', '127.0.0.8'));
  const main = join(source, 'few-descriptors-main.ts');
  const { stdout } = await run('sh', [
    '-c',
    'ulimit -n 48; exec "$@"',
    'sh',
    process.execPath,
    main,
    servers.one.server,
    'known.test',
    'unknown.test',
  ]);
  expect(JSON.parse(stdout)).toEqual({
    // What `dns.lookup` says of localhost then.
    lookupCode: expect.stringMatching(/^(?:ENOTFOUND|EMFILE|EAI_AGAIN|EAI_SYSTEM)$/),
    kind: 'resources',
    pluggedCode: 'EMFILE',
    staleKind: 'resources',
    afterwards: 'found',
  });
});

const obstacle = namespaceObstacle();
// Skipped without root or namespaces, for the reason in its name.
const testInNamespace = obstacle === undefined ? test : test.skip;

testInNamespace(
  `slow names keep dns.lookup from answering others, and not the resolver${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => expectIndependence(),
);

async function expectIndependence(): Promise<void> {
  const conf = join(directory, 'resolv.conf');
  writeFileSync(conf, 'nameserver 127.0.0.1\noptions timeout:10 attempts:1\n');
  const main = join(source, 'slow-names-main.ts');
  const script = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"';
  const { stdout } = await run('unshare', [
    '-m',
    '-n',
    'sh',
    '-c',
    script,
    'sh',
    conf,
    process.execPath,
    main,
    '800',
    '4',
  ]);
  const { lookupMs, resolverMs } = JSON.parse(stdout);
  // Half of the thread pool serves names: the quick one waits for two turns of slow ones.
  expect(lookupMs).toBeGreaterThan(700);
  expect(resolverMs).toBeLessThan(lookupMs / 2);
}

test('an idle resolver holds no process, also with a name that it will renew', async () => {
  await servers.serve(a('db.test', '127.0.0.7', 3_600));
  const startMs = systemClock.now();
  const main = join(source, 'idle-main.ts');
  const { stdout } = await run(process.execPath, [main, servers.one.server, 'db.test']);
  expect(stdout).toBe('asked');
  expect(systemClock.now() - startMs).toBeLessThan(20_000);
});
