import { honoursServerContract } from '../src/contract.ts';
import { openRedis } from './redis-contract.ts';

honoursServerContract(() => openRedis('local'));
