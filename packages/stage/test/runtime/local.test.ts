import { honoursServerContract } from '../../src/contract.ts';
import { openRedis } from '../servers/redis-contract.ts';

honoursServerContract(() => openRedis('local'));
