import { honoursServerContract } from '../../src/contract.ts';
import { openTls } from './program-contracts.ts';

honoursServerContract(() => openTls('local'), { kills: 2 });
