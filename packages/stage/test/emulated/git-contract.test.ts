import { test } from '@jest/globals';
import { honoursServerContract } from '../../src/contract.ts';
import { gitObstacle } from './git-client.ts';
import { openGit } from './program-contracts.ts';

if (gitObstacle === undefined) honoursServerContract(() => openGit('local'), { kills: 2 });
// oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
else test.skip(`a git remote keeps its contract (${gitObstacle})`, () => undefined);
