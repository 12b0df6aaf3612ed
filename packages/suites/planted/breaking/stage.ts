import type { PlantedBug } from '../planted-bug.ts';

export const stageBugs: readonly PlantedBug[] = [
  {
    name: 'a member of a compose profile is told to be started alone',
    file: 'packages/stage/src/runtime/compose/project.ts',
    sound: 'return profile === undefined',
    broken: "return profile !== ''",
    tests: {
      path: 'packages/stage/test/runtime/compose-profiles',
      name: 'is started by its profile',
    },
  },
  {
    name: 'a Docker that was asked for and does not answer is replaced by processes',
    file: 'packages/stage/src/runtime/choose-mode.ts',
    sound: "if (requested === undefined) return { kind: 'local' };",
    broken: "if (requested !== 'compose') return { kind: 'local' };",
    tests: { path: 'packages/stage/test/runtime/mode', name: 'an error with the reason' },
  },
  {
    name: 'a process that has left its server outlives it',
    file: 'packages/stage/src/runtime/local/process.ts',
    sound: 'killWorkingIn(directory, () => sleep(clock, POLL_MS, limit)),',
    broken:
      'directory === "" ? killWorkingIn(directory, () => sleep(clock, POLL_MS, limit)) : Promise.resolve(),',
    tests: { path: 'packages/stage/test/runtime/process', name: 'that left its server is gone' },
  },
  {
    name: 'closing waits for a server for ever',
    file: 'packages/stage/src/handle/server.ts',
    sound: 'abortable(work(limit), limit),',
    broken: 'work(limit),',
    tests: { path: 'packages/stage/test/handle/close', name: 'does not keep a topology open' },
  },
  {
    name: 'a line of Testcontainers hides the context of the Docker CLI',
    file: 'packages/stage/src/runtime/container/engine-candidates.ts',
    sound: "!source.startsWith('tc.host')",
    broken: "source !== ''",
    tests: {
      path: 'packages/stage/test/runtime/engine-candidates',
      name: 'tc.host is tried before',
    },
  },
  {
    name: 'a PgBouncer has its own default mode whatever was asked for',
    file: 'packages/stage/src/servers/postgres/pgbouncer.ts',
    sound: 'pool_mode: options.mode,',
    broken: "pool_mode: 'session',",
    tests: { path: 'packages/stage/test/servers/pgbouncer', name: 'is that of its pool' },
  },
  {
    name: 'the emulated S3 drops what it does not do',
    file: 'packages/emulators/src/s3/operations/unsupported.ts',
    sound: 'if (permitted.includes(value)) continue;',
    broken: 'if (permitted.length === 0 || permitted.includes(value)) continue;',
    tests: { path: 'packages/emulators/test/s3-refusals', name: 'a key of the customer' },
  },
  {
    name: 'an error of the emulated S3 has a namespace that hides its code',
    file: 'packages/emulators/src/s3/wire/xml.ts',
    sound: 'return `${DECLARATION}${elementText(name, content)}`;',
    broken: 'return writeXml([name, content]);',
    tests: { path: 'packages/emulators/test/s3-refusals', name: 'have no namespace' },
  },
  {
    name: 'the emulated Supabase lists folders before the names that precede them',
    file: 'packages/emulators/src/supabase/operations/listing.ts',
    sound: "toSorted(column === 'name' ? compareNames : compare)",
    broken:
      'toSorted((a, b) => Number(a.id !== null) - Number(b.id !== null) || compareNames(a, b))',
    tests: {
      path: 'packages/emulators/test/supabase/objects',
      name: 'folders and objects together',
    },
  },
];
