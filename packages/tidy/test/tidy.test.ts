import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Rule, readRepository } from './repository.ts';
import { testsDoNotSleep, timeAndChanceHaveOneDoor } from './rules/doors.ts';
import { errorsHaveACodeOfTheirOwn } from './rules/error-codes.ts';
import { everyFileParses } from './rules/engines.ts';
import { failureTablesHaveTheSuitesRows } from './rules/failure-table.ts';
import { imagesAreNamedAlike } from './rules/images.ts';
import { dependenciesRunDown, importsRunDown, referencesAreDependencies } from './rules/layers.ts';
import { noMachineIsNamed, noRegistryIsNamed, nothingIsLeftForLater } from './rules/leftovers.ts';
import {
  descriptionsBeginWithTheirVerb,
  entryPointsAgree,
  packagesLookAlike,
} from './rules/manifests.ts';
import {
  exportsAreNamed,
  filesAreShort,
  indexesAreForOthers,
  indexesOpenWithAComment,
  nothingIsADrawer,
  nothingIsExportedByDefault,
} from './rules/modules.ts';
import { omissionsHaveAReason, testsAssert, testsImportWhatTheyJudge } from './rules/tests.ts';

const repository = readRepository(join(import.meta.dirname, '../../..'));

test.each<[string, Rule]>([
  ['a source imports only from the layers below its own', importsRunDown],
  ['a manifest depends only on the layers below its own', dependenciesRunDown],
  ['project references are exactly the workspace dependencies', referencesAreDependencies],
  ['time and chance come in by one door each', timeAndChanceHaveOneDoor],
  ['a test waits for a condition, never for a fixed time', testsDoNotSleep],
  ['whatever is exported is named', exportsAreNamed],
  ['nothing is exported by default', nothingIsExportedByDefault],
  ['an index opens with a comment', indexesOpenWithAComment],
  ['a package does not import its own index', indexesAreForOthers],
  ['no file or folder is a drawer for what was left over', nothingIsADrawer],
  ['a source has at most 400 lines', filesAreShort],
  ['a test imports what it judges', testsImportWhatTheyJudge],
  ['a test asserts something', testsAssert],
  ['a test that is left out says why', omissionsHaveAReason],
  ['the stage and compose name the same images', imagesAreNamedAlike],
  ['the failure tables have the rows of the suites', failureTablesHaveTheSuitesRows],
  ["a description begins with its package's verb", descriptionsBeginWithTheirVerb],
  ['packages agree on licence, engines and README', packagesLookAlike],
  ['an entry point is one file, as source and as build', entryPointsAgree],
  ['no path of a machine is committed', noMachineIsNamed],
  ['no registry host is committed', noRegistryIsNamed],
  ['nothing is left for later in a comment', nothingIsLeftForLater],
  ['an error class has a literal code of its own', errorsHaveACodeOfTheirOwn],
  ['every file parses on the oldest Node', everyFileParses],
])('%s', (_, rule) => {
  const offenders = rule(repository).map(({ path, line, says }) => `${path}:${line} ${says}`);
  expect(offenders).toEqual([]);
});

test('the rules have something to judge', () => {
  expect(repository.packages.length).toBeGreaterThan(5);
  expect(repository.find('packages/resilience/src/clock.ts')?.code).toContain('setTimeout(');
});
