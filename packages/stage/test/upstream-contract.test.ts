import { honoursServerContract } from '../src/contract.ts';
import { openUpstream } from './upstream-contract.ts';

honoursServerContract(() => openUpstream('local'), { kills: 2 });
