import { honoursServerContract } from '../src/contract.ts';
import { openGit } from './program-contracts.ts';

honoursServerContract(() => openGit('local'), { kills: 2 });
