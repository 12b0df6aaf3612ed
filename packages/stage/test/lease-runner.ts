/** A program that leases servers, says which, and waits to be killed. */
import { leaseServers } from '../src/lease/broker.ts';

const { redisUrl, databaseUrl } = await leaseServers();
process.stdout.write(`${JSON.stringify({ redisUrl, databaseUrl })}\n`);
process.stdin.resume();
