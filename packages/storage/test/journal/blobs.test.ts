import { hash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { BodyFiles } from '../../src/journal/blobs.ts';
import { collect } from '../../src/object/body.ts';

const DIRECTORY = '/bodies';

async function open(directory = DIRECTORY, measuresSpace = false) {
  const clock = createFakeClock();
  const files = createMemoryFileSystem();
  const blobs = new BodyFiles(files, directory, { clock, ioTimeoutMs: 1_000, measuresSpace });
  await blobs.open();
  return { clock, files, blobs };
}

async function* chunksOf(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

const damaged = (): Error => new Error('damaged');

test('a body is written chunk by chunk, each admitted before it, and read as it was', async () => {
  const { files, blobs } = await open();
  const admitted: number[] = [];
  const admit = (bytes: number): void => void admitted.push(bytes);
  const written = await blobs.write('op', chunksOf('one', 'three'), admit);
  const sha256 = hash('sha256', 'onethree', 'hex');
  expect(written).toMatchObject({ blob: 'op.blob', size: 8, sha256 });
  expect(admitted).toEqual([3, 5]);
  const source = blobs.source('op.blob', written, damaged);
  expect(Buffer.from(await collect(source.open())).toString()).toBe('onethree');
  expect(await blobs.digest('op.blob', 8, damaged)).toEqual({ sha256, blocks: written.blocks });
  const wrong = { size: 8, blocks: [0] };
  await expect(collect(blobs.source('op.blob', wrong, damaged).open())).rejects.toThrow('damaged');
  await blobs.remove('op.blob');
  expect(files.names().filter((name) => name.endsWith('.blob'))).toEqual([]);
});

test('a body that is not admitted, or breaks off, fails with its own error', async () => {
  const { blobs } = await open();
  const refusal = Object.assign(new Error('too large'), { code: 'EFBIG' });
  const refuse = (): never => {
    throw refusal;
  };
  await expect(blobs.write('op', chunksOf('x'), refuse)).rejects.toBe(refusal);
});

test('a disk that fails is reported as such, one that is full by its own code', async () => {
  const { files, blobs } = await open();
  const failing = (code: string): Promise<unknown> => {
    files.intercept = ({ kind }) => {
      if (kind === 'write') throw Object.assign(new Error('no'), { code });
    };
    return blobs.write('op', chunksOf('x'), () => undefined);
  };
  await expect(failing('EIO')).rejects.toMatchObject({
    code: 'JOURNAL_WRITE_FAILED',
    outcome: 'not-applied',
  });
  await expect(failing('ENOSPC')).rejects.toMatchObject({ code: 'ENOSPC' });
});

test('files that no operation names are removed, finished or not, and no others', async () => {
  const { files, blobs } = await open();
  for (const id of ['kept', 'left']) await blobs.write(id, chunksOf('x'), () => undefined);
  for (const name of ['part.blob.part', 'lives', 'x.blob.txt']) {
    const file = await files.open(`${DIRECTORY}/${name}`, 'create');
    await file.close();
  }
  await blobs.removeOthers(new Set(['kept.blob']));
  expect((await files.list(DIRECTORY)).toSorted()).toEqual(['kept.blob', 'lives', 'x.blob.txt']);
});

test('the free space of a disk is measured where there is one', async () => {
  const measured = await (await open(tmpdir(), true)).blobs.freeBytes();
  expect(measured).toBeGreaterThan(0);
  expect(measured).toBeLessThan(Infinity);
  expect(await (await open(tmpdir(), false)).blobs.freeBytes()).toBe(Infinity);
  expect(await (await open('/nowhere/at/all', true)).blobs.freeBytes()).toBe(Infinity);
});
