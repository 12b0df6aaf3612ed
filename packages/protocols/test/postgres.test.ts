import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { MessageReader } from '@holdfast/protocols/postgres';
import { cutAnywhere } from './chunks.ts';

const SEED = 5;
const message = fc
  .tuple(fc.constantFrom('Q', 'P', 'D', 'd'), fc.uint8Array({ maxLength: 60 }))
  .map(([type, body]) => {
    const bytes = Buffer.alloc(5 + body.length, type);
    bytes.writeInt32BE(4 + body.length, 1);
    bytes.set(body, 5);
    return { type, bytes };
  });

test('wanted messages are read whole wherever the stream is cut, and the others pass as bytes', () => {
  const wanted = new Set(['Q', 'P']);
  const cutsOf = fc.infiniteStream(fc.nat(20));
  fc.assert(
    fc.property(fc.array(message, { maxLength: 10 }), cutsOf, (list, cuts) => {
      const read: { type: string; bytes: Buffer }[] = [];
      const passed: Buffer[] = [];
      const reader = new MessageReader(50, (type) => wanted.has(type));
      for (const chunk of cutAnywhere(Buffer.concat(list.map(({ bytes }) => bytes)), cuts)) {
        for (const segment of reader.read(chunk)) {
          if (segment.kind === 'bytes') passed.push(segment.bytes);
          else read.push({ type: segment.type, bytes: segment.bytes });
        }
      }
      const isRead = ({ type, bytes }: { type: string; bytes: Buffer }): boolean =>
        wanted.has(type) && bytes.length <= 50;
      expect(read).toEqual(list.filter(isRead));
      const rest = list.filter((each) => !isRead(each)).map(({ bytes }) => bytes);
      expect(Buffer.concat(passed)).toEqual(Buffer.concat(rest));
    }),
    { seed: SEED },
  );
});
