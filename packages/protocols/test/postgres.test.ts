import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createMessageReader } from '@holdfast/protocols/postgres';
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

test('messages are cut out of a stream wherever its packets end, and what is not wanted passes', () => {
  const wanted = new Set(['Q', 'P']);
  const cutsOf = fc.infiniteStream(fc.nat(20));
  fc.assert(
    fc.property(fc.array(message, { maxLength: 10 }), cutsOf, (list, cuts) => {
      const read: { type: string; bytes: Buffer }[] = [];
      const passed: Buffer[] = [];
      const reader = createMessageReader({
        maxMessageBytes: 50,
        isWanted: (type) => wanted.has(type),
        onMessage: (found) => void read.push(found),
        onPassing: (bytes) => void passed.push(bytes),
      });
      for (const chunk of cutAnywhere(Buffer.concat(list.map(({ bytes }) => bytes)), cuts))
        reader(chunk);
      const isRead = ({ type, bytes }: { type: string; bytes: Buffer }): boolean =>
        wanted.has(type) && bytes.length <= 50;
      expect(read).toEqual(list.filter(isRead));
      const rest = list.filter((each) => !isRead(each)).map(({ bytes }) => bytes);
      expect(Buffer.concat(passed)).toEqual(Buffer.concat(rest));
    }),
    { seed: SEED },
  );
});
