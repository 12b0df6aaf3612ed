import { afterEach, expect, jest, test } from '@jest/globals';
import { callSafely, createEmitter, describeThrown } from '@holdfast/foundation';

const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);

afterEach(() => {
  warn.mockClear();
});

test.each([
  ['an error', new Error('broken'), 'Error: broken'],
  ['null', null, 'null'],
  ['a symbol', Symbol.for('odd'), 'Symbol(odd)'],
  ['no prototype', Object.create(null), 'a value that cannot be converted to a string'],
])(
  'a listener that throws %s is one warning, and the others are called',
  async (_name, thrown, said) => {
    const emitter = createEmitter<{ moved: number }>('holdfast:test', { moved: true });
    const heard: number[] = [];
    emitter.on('moved', () => {
      throw thrown;
    });
    emitter.on('moved', (event) => heard.push(event));
    emitter.emit('moved', 7);
    expect(heard).toEqual([7]);
    expect(warn.mock.calls).toEqual([[`a listener of holdfast:test:moved threw: ${said}`]]);
  },
);

test('a listener whose promise rejects is one warning', async () => {
  const emitter = createEmitter<{ moved: number }>('holdfast:test', { moved: true });
  emitter.on('moved', async () => {
    throw new Error('broken');
  });
  emitter.emit('moved', 7);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(warn.mock.calls).toEqual([['a listener of holdfast:test:moved rejected: Error: broken']]);
});

test('a result whose then cannot be read is a warning, not an error of the call', () => {
  // oxlint-disable-next-line unicorn/no-thenable -- users return anything
  const hostile = Object.defineProperty({}, 'then', {
    get: () => {
      throw new Error('broken');
    },
  });
  callSafely('a callback', () => hostile);
  expect(warn).toHaveBeenCalledTimes(1);
  expect(describeThrown(hostile)).toBe('[object Object]');
});
