import { honoursServerContract } from '../../src/contract.ts';
import { openUpstream } from './program-contracts.ts';

honoursServerContract(() => openUpstream('local'), { kills: 2 });
