/**
 * Runs a failed test up to HOLDFAST_RETRIES more times, after the other tests of its file. CI sets it: among
 * eighteen thousand tests on a shared machine one is late. The run names each test that passed only then.
 */
import { environment } from '@holdfast/foundation';
import { jest } from '@jest/globals';

jest.retryTimes(Number(environment['HOLDFAST_RETRIES']), { logErrorsBeforeRetry: true });
