import { expect, test } from '@jest/globals';
import { honoursServerContract } from '../src/contract.ts';
import { openRedis } from './redis-contract.ts';

const isAsked = process.env['HOLDFAST_STAGE'] === 'docker';

if (isAsked) {
  honoursServerContract(() => openRedis('docker'), { kills: 2 });
} else {
  // oxlint-disable-next-line jest/no-disabled-tests -- an engine is not part of every machine
  test.skip('a server keeps its contract in Docker: runs with HOLDFAST_STAGE=docker', () => {
    expect(isAsked).toBe(true);
  });
}
