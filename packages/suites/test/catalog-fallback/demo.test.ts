import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { environment } from '@holdfast/foundation';

const DEMO = join(import.meta.dirname, '../../src/catalog/demo-main.ts');

test('the demo kills each server, and all of its questions are answered', async () => {
  const child = spawn(process.execPath, [DEMO], {
    env: { ...environment, CATALOG_DEMO_BUNDLES: '600' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 110_000,
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (written += text));
  }
  const [code] = await once(child, 'close');
  // All of it is in the message when it fails.
  expect({ code, written }).toEqual({
    code: 0,
    written: expect.stringContaining('6 of 6 questions were answered'),
  });
});
