/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { parseHead } from '@holdfast/emulators/programs';
import { locateGit } from '../../src/servers/emulated/locate-git.ts';
import { type Stage, openStage } from '../../src/stage.ts';
import { type GitClient, gitObstacle, incompressible, openGitClient } from './git-client.ts';
import { testUnless } from '../test-unless.ts';

const onGit = testUnless(gitObstacle);

let stage: Stage<{ git: { repositories: readonly string[] } }>;
let client: GitClient;
let repositories = 0;
beforeAll(async () => {
  if (gitObstacle !== undefined) return;
  client = await openGitClient();
  stage = await openStage({ mode: 'local', git: { repositories: ['there/already'] } });
});
afterAll(async () => {
  if (gitObstacle === undefined) await Promise.all([stage.close(), client.close()]);
});
beforeEach(async () => {
  if (gitObstacle !== undefined) return;
  if (stage.git.state === 'stopped') await stage.git.start();
  await stage.git.setFaults([]);
  await stage.git.forgetRequests();
});

/** A new repository with one commit that is pushed, and the folder of its clone. */
async function begin(): Promise<{ name: string; url: string; folder: string }> {
  const name = `site-${(repositories += 1)}`;
  const { url } = await stage.git.createRepository(name);
  await client.clone(url, name);
  await client.commit(name, 'first', 'a');
  expect(await client.git(name, 'push', '--quiet', 'origin', 'main')).toMatchObject({ code: 0 });
  return { name, url, folder: name };
}

onGit('a push is what another client clones and fetches', async () => {
  const { url, folder } = await begin();
  await client.clone(url, `${folder}-other`);
  await client.commit(folder, 'second', incompressible(3_000_000));
  expect(await client.git(folder, 'push', 'origin', 'main')).toMatchObject({ code: 0 });
  expect(await client.git(`${folder}-other`, 'pull', '--quiet')).toMatchObject({ code: 0 });
  const heads = await Promise.all(
    [folder, `${folder}-other`].map((each) => client.git(each, 'rev-parse', 'HEAD')),
  );
  expect(heads[0]?.stdout).toBe(heads[1]?.stdout);
  const asked = await stage.git.requests();
  expect(new Set(asked.map(({ service }) => service))).toEqual(new Set(['push', 'fetch']));
  expect(asked.every(({ status }) => status === 200)).toBe(true);
});

onGit('a push without the latest commits is rejected by git itself', async () => {
  const { url, folder } = await begin();
  await client.clone(url, `${folder}-other`);
  await client.commit(folder, 'mine', 'a');
  await client.git(folder, 'push', 'origin', 'main');
  await client.commit(`${folder}-other`, 'yours', 'b');
  const push = await client.git(`${folder}-other`, 'push', 'origin', 'main');
  expect(push.code).toBe(1);
  expect(push.stderr).toContain('rejected');
});

onGit('a missing repository is not found', async () => {
  const missing = await client.git('.', 'clone', `${stage.git.url}/nobody.git`);
  expect(missing.code).toBe(128);
  expect(missing.stderr).toContain('not found');
});

onGit('a rejected push leaves the branch unchanged, and reports the message', async () => {
  const { url, folder } = await begin();
  await client.commit(folder, 'second', 'b');
  await stage.git.setFaults([{ kind: 'rejectPush', message: 'the branch is frozen', times: 1 }]);
  const before = await client.git('.', 'ls-remote', url, 'main');
  const push = await client.git(folder, 'push', 'origin', 'main');
  expect(push.code).toBe(1);
  expect(push.stderr).toContain('remote: the branch is frozen');
  expect(push.stderr).toContain('pre-receive hook declined');
  expect((await client.git('.', 'ls-remote', url, 'main')).stdout).toBe(before.stdout);
  expect(await client.git(folder, 'push', 'origin', 'main')).toMatchObject({ code: 0 });
});

onGit('a status replaces the response of git, for pushes alone if requested', async () => {
  const { url, folder } = await begin();
  await client.commit(folder, 'second', 'b');
  await stage.git.setFaults([{ kind: 'status', status: 503, service: 'push', times: 1 }]);
  expect(await client.git('.', 'ls-remote', url)).toMatchObject({ code: 0 });
  const push = await client.git(folder, 'push', 'origin', 'main');
  expect(push.code).toBe(128);
  expect(push.stderr).toContain('503');
  expect(await client.git(folder, 'push', 'origin', 'main')).toMatchObject({ code: 0 });
  expect((await stage.git.requests()).filter(({ status }) => status === 503)).toMatchObject([
    { service: 'push', faults: ['status'] },
  ]);
});

onGit(
  'requests without the credentials are refused, and those with them are accepted',
  async () => {
    const { url, folder } = await begin();
    await client.commit(folder, 'second', 'b');
    await stage.git.setFaults([{ kind: 'credentials', username: 'u', password: 'p@ss' }]);
    const push = await client.git(folder, 'push', 'origin', 'main');
    expect(push.code).toBe(128);
    expect(push.stderr).toContain('could not read Username');
    const wrong = await client.git(folder, 'push', url.replace('//', '//u:wrong@'), 'main');
    expect(wrong.stderr).toContain('Authentication failed');
    const right = url.replace('//', '//u:p%40ss@');
    expect(await client.git(folder, 'push', right, 'main')).toMatchObject({ code: 0 });
  },
);

onGit('a slow response is sent after its delay', async () => {
  const { url } = await begin();
  await stage.git.setFaults([{ kind: 'slow', delayMs: 200, times: 1 }]);
  const startedMs = performance.now();
  expect(await client.git('.', 'ls-remote', url)).toMatchObject({ code: 0 });
  expect(performance.now() - startedMs).toBeGreaterThan(190);
});

onGit(
  'a remote killed during a push has the old commit, is intact, and accepts the push again',
  async () => {
    const { name, url, folder } = await begin();
    const before = await client.git('.', 'ls-remote', url, 'main');
    await client.commit(folder, 'big', incompressible(4_000_000));
    stage.git.link.faults.set('bandwidth', { bytesPerSecond: 2_000_000 });
    const arrived = (): number => stage.git.link.getStats().bytesToServer;
    const beforeMuch = arrived();
    const pushing = client.git(folder, 'push', 'origin', 'main');
    while (arrived() < beforeMuch + 1_000_000) await new Promise(setImmediate);
    await stage.git.kill();
    expect((await pushing).code).not.toBe(0);
    await stage.git.link.heal();
    await stage.git.start();
    expect(await stage.git.check(name)).toBe('');
    expect((await client.git('.', 'ls-remote', url, 'main')).stdout).toBe(before.stdout);
    expect(await client.git(folder, 'push', 'origin', 'main')).toMatchObject({ code: 0 });
    expect(await stage.git.check(name)).toBe('');
  },
);

onGit('repositories and faults survive a crash', async () => {
  const { url } = await begin();
  await stage.git.setFaults([{ kind: 'status', status: 500 }]);
  await stage.git.kill();
  await stage.git.start();
  expect((await client.git('.', 'ls-remote', url)).stderr).toContain('500');
  await stage.git.setFaults([]);
  expect((await client.git('.', 'ls-remote', url)).stdout).toContain('refs/heads/main');
});

onGit(
  'a repository of the options exists from the start, has a URL, and its name is unique',
  async () => {
    expect(stage.git.repository('there/already').url).toBe(`${stage.git.url}/there/already.git`);
    await client.clone(stage.git.repository('there/already').url, 'already');
    const named = { code: 'INVALID_OPTION', field: 'name' };
    expect(() => stage.git.repository('nobody')).toThrow(expect.objectContaining(named));
    await expect(stage.git.createRepository('there/already')).rejects.toMatchObject(named);
    await expect(stage.git.createRepository('../up')).rejects.toMatchObject(named);
    await expect(stage.git.check('nobody')).rejects.toMatchObject(named);
    await stage.git.kill();
    await expect(stage.git.createRepository('late')).rejects.toMatchObject({ code: 'STAGE_STATE' });
  },
);

test('without git the error says how to install it', async () => {
  await expect(locateGit({ PATH: '/nowhere' })).rejects.toMatchObject({
    code: 'STAGE_GIT_NOT_FOUND',
    message: expect.stringContaining('apt-get install git'),
  });
});

test('the head of a CGI response is parsed as status and headers', () => {
  const said = 'Status: 404 Not Found\r\nContent-Type: text/plain\r\nExpires: Fri, 01 Jan 1980';
  expect(parseHead(said)).toEqual({
    status: 404,
    headers: { 'content-type': 'text/plain', expires: 'Fri, 01 Jan 1980' },
  });
});

test.each([
  [{ git: 'yes' }, 'git'],
  [{ git: { repository: [] } }, 'git.repository'],
  [{ git: { repositories: ['a', '.git'] } }, 'git.repositories[1]'],
  [{ git: { repositories: ['a.lock'] } }, 'git.repositories[0]'],
  [{ git: { repositories: ['a/../b'] } }, 'git.repositories[0]'],
  [{ git: { faults: [{ kind: 'meteor' }] } }, 'git.faults[0].kind'],
  [{ git: { faults: [{ kind: 'status', status: 200 }] } }, 'git.faults[0].status'],
  [{ git: { faults: [{ kind: 'slow' }] } }, 'git.faults[0].delayMs'],
  [{ git: { faults: [{ kind: 'credentials', username: 'u' }] } }, 'git.faults[0].password'],
  [{ git: { faults: [{ kind: 'rejectPush', service: 'push' }] } }, 'git.faults[0].service'],
])('the options %j are refused by naming %s', async (options, field) => {
  const wrong: object = options;
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});
