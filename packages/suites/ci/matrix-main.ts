/**
 * Prints the matrix of the suites as one line for the output of a job: `node packages/suites/ci/matrix-main.ts`. It
 * imports only Node, so that it runs before anything is installed.
 */
import { join } from 'node:path';
import { matrixOf, suiteFamilies } from './matrix.ts';

const matrix = matrixOf(suiteFamilies(join(import.meta.dirname, '../../..')));
process.stdout.write(`matrix=${JSON.stringify(matrix)}\n`);
