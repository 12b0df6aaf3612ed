import { describe } from '@jest/globals';
import { honoursJournalContract } from '../src/contract.ts';
import { createMemoryJournal, openJournal } from '../src/index.ts';
import { freshDirectory } from './directory.ts';

describe('in memory', () => {
  honoursJournalContract(async (limits) => {
    const journal = createMemoryJournal(limits);
    return { journal, dispose: () => journal.close() };
  });
});

describe.each(['commit', 'batch-ms', 'os'] as const)('on disk, %s', (durability) => {
  honoursJournalContract(async (limits) => {
    const directory = await freshDirectory();
    const journal = await openJournal({ directory, durability, segmentBytes: 4_096, ...limits });
    return { journal, dispose: () => journal.close() };
  });
});
