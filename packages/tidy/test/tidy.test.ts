import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type Rule, readRepository } from '../src/repository.ts';
import {
  environmentHasOneDoor,
  testsDoNotSleep,
  timeAndRandomHaveOneDoor,
} from '../src/rules/time-and-random.ts';
import { errorsHaveACodeOfTheirOwn } from '../src/rules/error-codes.ts';
import {
  architectureAgreesWithImports,
  defaultsAreThoseOfTheCode,
  packagesThatAreNamedExist,
  readmesAreShort,
  tablesFitOnAScreen,
} from '../src/rules/documents.ts';
import {
  everythingIsClosedByOneVerb,
  exportedTypesHaveOneMeaning,
  exportsAreUsed,
} from '../src/rules/exports.ts';
import { foldersAreSmall, siblingFoldersImportOneWay } from '../src/rules/folders.ts';
import { unionsAreTaggedByKind } from '../src/rules/unions.ts';
import { namesAreStandardTerms, testNamesAreSentences } from '../src/rules/words.ts';
import { everyFileParses } from '../src/rules/engines.ts';
import {
  everyCodeHasARow,
  failurePagesNameTestsThatExist,
  failureTablesHaveTheSuitesRows,
} from '../src/rules/failure-table.ts';
import { imagesAreNamedAlike } from '../src/rules/images.ts';
import {
  benchmarksImportByName,
  dependenciesRunDown,
  importsRunDown,
  referencesAreDependencies,
} from '../src/rules/layers.ts';
import {
  noMachineIsNamed,
  noRegistryIsNamed,
  nothingIsLeftForLater,
} from '../src/rules/committed-text.ts';
import {
  entryPointsAgree,
  packagesLookAlike,
  publishedPackagesAreDescribed,
} from '../src/rules/manifests.ts';
import {
  exportsAreNamed,
  filesAreShort,
  indexesAreForOthers,
  indexesOpenWithAComment,
  noCatchAllNames,
  nothingIsExportedByDefault,
} from '../src/rules/modules.ts';
import { omissionsHaveAReason, testsAssert, testsImportWhatTheyJudge } from '../src/rules/tests.ts';

const repository = readRepository(join(import.meta.dirname, '../../..'));

test.each<[string, Rule]>([
  ['a source imports only from the layers below its own', importsRunDown],
  ['a benchmark imports packages by name', benchmarksImportByName],
  ['a manifest depends only on the layers below its own', dependenciesRunDown],
  ['project references are exactly the workspace dependencies', referencesAreDependencies],
  ['time and random numbers each come from one file', timeAndRandomHaveOneDoor],
  ['a test waits for a condition, never for a fixed time', testsDoNotSleep],
  ['every export is named', exportsAreNamed],
  ['nothing is exported by default', nothingIsExportedByDefault],
  ['an index starts with a comment', indexesOpenWithAComment],
  ['a package does not import its own index', indexesAreForOthers],
  ['no file or folder has a catch-all name', noCatchAllNames],
  ['a source has at most 400 lines', filesAreShort],
  ['a test imports the code that it tests', testsImportWhatTheyJudge],
  ['a test asserts something', testsAssert],
  ['a skipped test has a reason', omissionsHaveAReason],
  ['the stage and compose name the same images', imagesAreNamedAlike],
  ['the failure tables have the rows of the suites', failureTablesHaveTheSuitesRows],
  ['the pages of failures name tests that exist', failurePagesNameTestsThatExist],
  ['the page of the codes has a row for each error', everyCodeHasARow],
  ['stated defaults are those of the code', defaultsAreThoseOfTheCode],
  ['packages agree on license, engines and README', packagesLookAlike],
  ['an entry point is one file, as source and as build', entryPointsAgree],
  ['a published package says what and whose it is', publishedPackagesAreDescribed],
  ['no path of one machine is committed', noMachineIsNamed],
  ['no registry host is committed', noRegistryIsNamed],
  ['no comment plans work for later', nothingIsLeftForLater],
  ['an error class has a distinct literal code', errorsHaveACodeOfTheirOwn],
  ['whatever is closed is closed by close()', everythingIsClosedByOneVerb],
  ['every file parses on the oldest Node', everyFileParses],
  ['a folder has at most 15 files', foldersAreSmall],
  ['sibling folders import one way', siblingFoldersImportOneWay],
  ['every export is used', exportsAreUsed],
  ['an exported type has one meaning', exportedTypesHaveOneMeaning],
  ['the discriminant of a union is kind', unionsAreTaggedByKind],
  ['names are standard terms', namesAreStandardTerms],
  ['test names are sentences', testNamesAreSentences],
  ['tables of READMEs fit on a screen', tablesFitOnAScreen],
  ['a README is short', readmesAreShort],
  ['packages that documents name exist', packagesThatAreNamedExist],
  ['the architecture page agrees with the imports', architectureAgreesWithImports],
  ['one file reads the environment', environmentHasOneDoor],
])('%s', (_, rule) => {
  const violations = rule(repository).map(
    ({ path, line, message }) => `${path}:${line} ${message}`,
  );
  expect(violations).toEqual([]);
});

test('the rules have files to check', () => {
  expect(repository.packages.length).toBeGreaterThan(5);
  expect(repository.find('packages/foundation/src/timers/system-clock.ts')?.code).toContain(
    'Date.now(',
  );
});
