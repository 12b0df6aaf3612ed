import { join, relative } from 'node:path';
import { Application, type TypeDocOptions } from 'typedoc';
import type { PluginOptions } from 'typedoc-plugin-markdown';
import { entryPointsIn } from './entry-points.ts';
import { REFERENCE } from './pages.ts';
import { namesWithoutPlace } from './reference-check.ts';

/**
 * Writes a page for each entry point of the published packages, from the doc comments.
 *
 * @throws {Error} when TypeDoc reports an error, or the pages lack an export or an option.
 */
export async function writeReference(root: string): Promise<void> {
  const entryPoints = entryPointsIn(root);
  const options: TypeDocOptions & PluginOptions = {
    plugin: ['typedoc-plugin-markdown'],
    entryPoints: entryPoints.map(({ file }) => file),
    tsconfig: join(root, 'packages/site/tsconfig.reference.json'),
    out: join(root, REFERENCE),
    name: 'API',
    readme: 'none',
    pageTitleTemplates: { module: ({ name }) => `@holdfast/${name}` },
    // The packages have been compiled before; TypeScript 6 need not judge them again.
    skipErrorChecking: true,
    excludeInternal: true,
    disableSources: true,
    disableGit: true,
    entryFileName: 'index',
    outputFileStrategy: 'modules',
    useHTMLEncodedBrackets: true,
    useCustomAnchors: true,
    sanitizeComments: true,
    excludeExternals: true,
    hideGroupHeadings: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    classPropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
    propertyMembersFormat: 'table',
    tableColumnSettings: {
      hideInherited: true,
      hideOverrides: true,
      hideSources: true,
      leftAlignHeaders: true,
    },
    hidePageHeader: true,
    hideBreadcrumbs: true,
    logLevel: 'Warn',
  };
  const application = await Application.bootstrapWithPlugins(options);
  const project = await application.convert();
  if (project === undefined) throw new Error('TypeDoc could not read the packages; see above');
  // A module is known by the name that is imported, not by its file.
  const names = new Map(
    entryPoints.map(({ specifier, file }) => [moduleNameOf(root, file), specifier]),
  );
  for (const module of project.children ?? []) {
    module.name = (names.get(module.name) ?? module.name).replace('@holdfast/', '');
    // The default export of pg, which has everything once more.
    const defaults = module.children?.filter(({ name }) => name === 'default') ?? [];
    for (const each of defaults) project.removeReflection(each);
  }
  await application.generateOutputs(project);
  if (application.logger.hasErrors()) throw new Error('TypeDoc reported an error; see above');
  const missing = namesWithoutPlace(root);
  if (missing.length > 0) throw new Error(`The pages of the API lack\n${missing.join('\n')}`);
}

/** The name that TypeDoc derives from the path of an entry point. */
function moduleNameOf(root: string, file: string): string {
  return relative(join(root, 'packages'), file).replace(/(\/index)?\.ts$/, '');
}
