/** A program that opens a small stage, and waits to be killed at any moment of it. */
import { openStage } from '../../src/stage.ts';

const mode = process.env['HOLDFAST_STAGE'] === 'docker' ? 'docker' : 'local';
const stage = await openStage({
  mode,
  redis: true,
  ...(mode === 'local' && { postgres: true }),
  serverNetworks: process.env['OWN_NETWORKS'] === '1',
});
process.stdout.write('opened\n');
await stage.redis.limit({ memoryBytes: 64 * 1_048_576 });
await stage.redis.kill();
await stage.redis.start();
await stage.close();
// Some are killed when all is over.
process.stdin.resume();
