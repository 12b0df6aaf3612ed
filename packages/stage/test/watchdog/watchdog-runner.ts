/** A program that opens a stage, prints the address of its server, and waits to be killed. */
import { askRedis } from '../../src/servers/redis/command.ts';
import { openStage } from '../../src/stage.ts';

const { redis, mode } = await openStage({ redis: true });
const reply = await askRedis(redis, ['INFO'], AbortSignal.timeout(5_000));
const said = reply.kind === 'value' ? (reply.value ?? '') : '';
const field = (name: string): string => new RegExp(`^${name}:(.*)\r$`, 'm').exec(said)?.[1] ?? '';
const answer = { mode, port: redis.port, pid: field('process_id'), conf: field('config_file') };
process.stdout.write(`${JSON.stringify(answer)}\n`);
// The handle of the server does not hold the process; standard input does.
process.stdin.resume();
