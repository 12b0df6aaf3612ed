import type { Config } from 'jest';

/** Node strips the types itself, so the tests run the source: no transform, no build. */
const project = { extensionsToTreatAsEsm: ['.ts'], transform: {} };

const config: Config = {
  // Jest takes no limit for one project alone; a test that needs a tighter one states it.
  testTimeout: 120_000,
  reporters: [
    'default',
    [
      '<rootDir>/packages/report/src/jest-reporter.ts',
      { outputDirectory: process.env['HOLDFAST_REPORT'] ?? 'reports' },
    ],
  ],
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
        '<rootDir>/packages/suites/planted/*.test.ts',
      ],
    },
    {
      ...project,
      displayName: 'infrastructure',
      testMatch: ['<rootDir>/packages/suites/test/**/*.test.ts'],
    },
  ],
};

export default config;
