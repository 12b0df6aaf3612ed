/** A program that opens and closes a stage with the options of its argument, and prints its error, if any. */
import { isHoldfastError } from '@holdfast/foundation';
import { openStage } from '../../src/stage.ts';

try {
  const options: object = JSON.parse(process.argv[2] ?? '{}');
  const stage = await openStage({ mode: 'local', ...options });
  await stage.close();
  process.stdout.write('{}');
} catch (error) {
  const failure = isHoldfastError(error)
    ? Object.assign({}, error, { message: error.message })
    : String(error);
  process.stdout.write(JSON.stringify(failure));
}
