/* oxlint-disable jest/no-standalone-expect -- the last test is skipped where there are no namespaces */
import { expect, test } from '@jest/globals';
import { partitionObstacle, runProgram } from '../../../src/network/child-program.ts';

test('without descriptors a dial says so, blames no server, and works again when there are some', async () => {
  const limited = ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'];
  expect(await runProgram('dial-without-descriptors-main.ts', limited)).toEqual({
    resolved: 'resources',
    looked: 'resources',
    afterwards: 'connected',
    reports: ['reached'],
  });
});

const obstacle = partitionObstacle();
// Only root may make a network; the name of the test carries the obstacle.
const testInNetwork = obstacle === undefined ? test : test.skip;

testInNetwork(
  `a partition that drops every packet ends connect and read within their deadlines, and heals${obstacle === undefined ? '' : ` (${obstacle})`}`,
  async () => {
    expect(await runProgram('partition-main.ts', ['unshare', '--net'])).toEqual({
      connect: ['NETWORK_DIAL_TIMEOUT', 'connect'],
      read: 'TimeoutError',
      isInTime: true,
      healed: 'question',
    });
  },
);
