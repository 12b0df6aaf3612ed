import { honoursServerContract } from '../../src/contract.ts';
import { openDns } from './program-contracts.ts';

honoursServerContract(() => openDns('local'), { kills: 2 });
