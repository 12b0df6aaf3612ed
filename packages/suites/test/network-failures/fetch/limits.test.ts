import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { runProgram } from '../../../src/network/child-program.ts';

test.each(['before', 'amid'])(
  'a first call without descriptors names the shortage, and the next one with some is served: the client is made %s it',
  async (when) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-limits-'));
    const hostsFile = join(folder, 'hosts');
    const resolvConf = join(folder, 'resolv.conf');
    await writeFile(hostsFile, '127.0.0.9 in-hosts.test\n');
    await writeFile(resolvConf, 'nameserver 127.0.0.1\n');
    try {
      const limited = ['sh', '-c', 'ulimit -n 100; exec "$@"', 'sh'];
      const seen = await runProgram('fetch-without-descriptors-main.ts', limited, [
        hostsFile,
        resolvConf,
        when,
      ]);
      const shortage = ['NETWORK_FETCH_FAILED undefined', 'NETWORK_DIAL_FAILED resources'];
      expect(seen).toEqual({
        short: {
          first: shortage,
          amid: shortage,
          transport: 'undici',
          localhost: ['127.0.0.1', '::1'],
          looked: '127.0.0.1',
          hosts: ['127.0.0.9'],
          unread: ['NETWORK_NAME_RESOURCES resources', 'EMFILE undefined'],
        },
        afterwards: {
          first: 'answer',
          amid: 'answer',
          fresh: 'answer',
          refused: ['NETWORK_FETCH_FAILED undefined', 'NETWORK_PRIVATE_ADDRESS undefined'],
          gateways: 'answer',
          unread: ['127.0.0.9'],
        },
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
