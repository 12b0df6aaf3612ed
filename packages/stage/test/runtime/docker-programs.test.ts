import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect, test } from '@jest/globals';
import { honoursServerContract } from '../../src/contract.ts';
import { openStage } from '../../src/stage.ts';
import { openGitClient } from '../emulated/git-client.ts';
import {
  openDns,
  openEsimGo,
  openGit,
  openTls,
  openUpstream,
} from '../emulated/program-contracts.ts';

const isAsked =
  process.env['HOLDFAST_STAGE'] === 'docker' && process.env['HOLDFAST_IMAGE_NODE'] !== undefined;

if (isAsked) {
  const programs = {
    upstream: openUpstream,
    dns: openDns,
    tls: openTls,
    git: openGit,
    esimGo: openEsimGo,
  };
  for (const [name, open] of Object.entries(programs)) {
    honoursServerContract(() => open('docker'), { kills: 1, name: `the ${name} in Docker` });
  }

  test('in containers DNS, TLS and git work too, over a crash and when configured while they run', async () => {
    const client = await openGitClient();
    const stage = await openStage({ mode: 'docker', dns: true, tls: true, git: true });
    try {
      const { dns, tls, git } = stage;
      await dns.serve([{ name: 'a.test', type: 'A', address: '127.0.0.9' }]);
      await tls.setFault('expired');
      const { url } = await git.createRepository('site');
      await client.clone(url, 'site');
      await client.commit('site', 'file', 'content');
      await client.must('site', 'push', 'origin', 'main');
      for (const server of [dns, tls, git]) await server.kill();
      await Promise.all([dns, tls, git].map((server) => server.start()));

      await dns.setFaults([{ kind: 'truncated' }]);
      expect(await dns.resolver().resolve4('a.test')).toEqual(['127.0.0.9']);
      expect((await dns.queries()).map(({ transport }) => transport)).toEqual(['udp', 'tcp']);
      const expired = connect({ host: tls.host, port: tls.port, ca: tls.ca });
      await expect(once(expired, 'secureConnect')).rejects.toMatchObject({
        code: 'CERT_HAS_EXPIRED',
      });
      expect(await git.check('site')).toBe('');
      await client.clone(url, 'again');
      expect(await client.must('again', 'show', 'main:file')).toBe('content');
      await git.setFaults([{ kind: 'rejectPush', message: 'frozen' }]);
      await client.commit('again', 'other', 'content');
      expect((await client.git('again', 'push', 'origin', 'main')).stderr).toContain('frozen');
    } finally {
      await Promise.all([stage.close(), client.close()]);
    }
  });
} else {
  // oxlint-disable-next-line jest/no-disabled-tests -- an engine and an image are not part of every machine
  test.skip('emulators run in Docker: runs with HOLDFAST_STAGE=docker and HOLDFAST_IMAGE_NODE', () => {
    expect(isAsked).toBe(true);
  });
}
