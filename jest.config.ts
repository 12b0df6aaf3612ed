import { isAbsolute } from 'node:path';
import type { Config } from 'jest';

const running = '<rootDir>/packages/suites/src/running';
const retries = process.env['HOLDFAST_RETRIES'] === undefined ? [] : [`${running}/retries.ts`];
/** Set by run.mjs for the suites, whose scenarios are shown while they run, in place of the names of files. */
const progress = process.env['HOLDFAST_PROGRESS'] === '1';

const report = process.env['HOLDFAST_REPORT'] ?? 'reports';

/** Node strips the types itself, so the tests run the source: no transform, no build. */
const project = {
  extensionsToTreatAsEsm: ['.ts'],
  transform: {},
  // Reports name the line of each test.
  testLocationInResults: true,
  setupFilesAfterEnv: retries,
};

const config: Config = {
  // Jest takes no limit for one project alone; a test that needs a tighter one states it.
  testTimeout: 120_000,
  workerIdleMemoryLimit: '1GB',
  reporters: [
    ...(progress ? [] : ['default']),
    [
      '<rootDir>/packages/report/src/jest-reporter.ts',
      {
        outputDirectory: report,
        // One for all reports of the workspace; a report elsewhere has its own.
        ...(isAbsolute(report) ? {} : { historyFile: 'reports/history.jsonl' }),
        replay: 'npm run jest -- {file} --testNamePattern {name}',
        progress,
      },
    ],
  ],
  testSequencer: `${running}/sequencer.ts`,
  projects: [
    {
      ...project,
      displayName: 'unit',
      testMatch: ['<rootDir>/packages/*/test/**/*.test.ts'],
      testPathIgnorePatterns: ['packages/(suites|tidy)/'],
    },
    {
      ...project,
      displayName: 'tidy',
      testMatch: [
        '<rootDir>/packages/tidy/test/**/*.test.ts',
        '<rootDir>/packages/suites/{ci,mutation,planted}/*.test.ts',
      ],
    },
    {
      ...project,
      displayName: 'published',
      testMatch: ['<rootDir>/packages/suites/published/*.test.ts'],
      globalSetup: '<rootDir>/packages/suites/published/setup.ts',
      globalTeardown: '<rootDir>/packages/suites/published/teardown.ts',
    },
    {
      ...project,
      displayName: 'infrastructure',
      setupFilesAfterEnv: [...retries, `${running}/announce-servers.ts`],
      runner: '<rootDir>/packages/suites/src/running/runner.ts',
      testMatch: ['<rootDir>/packages/suites/test/**/*.test.ts'],
    },
  ],
};

export default config;
