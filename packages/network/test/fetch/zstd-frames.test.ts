import { zstdCompressSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { ZstdFrames } from '../../src/fetch/body/zstd-frames.ts';

const plain = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * at) % 251));
const streams: [string, Buffer][] = [
  ['nothing', zstdCompressSync(Buffer.alloc(0))],
  ['one byte', zstdCompressSync(Buffer.from('a'))],
  ['a repeated byte', zstdCompressSync(Buffer.alloc(300_000))],
  ['many blocks', zstdCompressSync(plain)],
  ['two frames', Buffer.concat([zstdCompressSync(plain), zstdCompressSync(plain)])],
  [
    'a skippable frame',
    Buffer.concat([Buffer.from('502a4d1803000000616263', 'hex'), zstdCompressSync(plain)]),
  ],
];

test.each(streams)(
  '%s is whole at its end and nowhere before, in pieces of any size',
  (name, bytes) => {
    const wholeAt =
      name === 'two frames' ? [bytes.length / 2] : name.startsWith('a skip') ? [11] : [];
    for (const size of [1, 7, 4_096, bytes.length]) {
      const frames = new ZstdFrames();
      for (let at = 0; at < bytes.length; at += size) {
        const isBetween = at > 0 && wholeAt.includes(at);
        expect(frames.isWhole).toBe(isBetween);
        frames.push(bytes.subarray(at, at + size));
      }
      expect(frames.isWhole).toBe(true);
    }
  },
);

test('bytes after the last frame are no frame', () => {
  const frames = new ZstdFrames();
  frames.push(zstdCompressSync(plain));
  frames.push(Buffer.from('junk'));
  expect(frames.isWhole).toBe(false);
});
