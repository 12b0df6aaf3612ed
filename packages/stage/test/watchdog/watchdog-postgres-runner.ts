/** A program that opens a Postgres, prints its resources in the system, and waits to be killed. */
import { openStage } from '../../src/stage.ts';
import { holdingsOf } from '../servers/postgres-session.ts';

const { postgres } = await openStage({ mode: 'local', postgres: true });
const holdings = await holdingsOf(postgres.primary);
// The hardest case: no process of a frozen tree notices the end of its parent.
await postgres.primary.freeze();
process.stdout.write(`${JSON.stringify(holdings)}\n`);
// The handle of the server does not hold the process; standard input does.
process.stdin.resume();
