import { expect, test } from '@jest/globals';
import { repositoryOf } from '../src/repository.ts';
import { everythingIsClosedByOneVerb } from '../src/rules/exports.ts';

function violationsOf(surface: string): string[] {
  const repository = repositoryOf({ 'docs/api/a.txt': surface });
  return everythingIsClosedByOneVerb(repository).map(({ line, message }) => `${line} ${message}`);
}

test.each(['end(): void;', 'stop(): Promise<void>;', '[Symbol.asyncDispose](): Promise<void>;'])(
  'who has %s without close() is reported',
  (verb) => {
    expect(violationsOf(`// a\n\ninterface Pool extends Base {\n\t${verb}\n}\n`)).toEqual([
      '3 Pool has no close()',
    ]);
    expect(violationsOf(`class Pool {\n\tclose(): Promise<void>;\n\t${verb}\n}\n`)).toEqual([]);
  },
);

test('what is leased has verbs of its own, and a method of a nested type is not one of the type', () => {
  const lease = 'interface SyncLease {\n\trelease(): void;\n\t[Symbol.asyncDispose](): void;\n}\n';
  const nested = 'interface Pool {\n\treadonly inner: {\n\t\tend(): void;\n\t};\n}\n';
  expect(violationsOf(`${lease}\n${nested}`)).toEqual([]);
});
