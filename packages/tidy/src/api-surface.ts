import { dirname, join, relative } from 'node:path';
import { readFileSync } from 'node:fs';
import { isolatedDeclarationSync } from 'oxc-transform';
import { objectIn } from './repository.ts';
import { maskedCode } from './source-text.ts';

/** An exported name, the file that declares it, and its name there. */
interface Export {
  readonly name: string;
  readonly file: string;
  readonly local: string;
  /** The file of the package that declares it. */
  readonly isForeign?: boolean;
}

/**
 * Lists the published types of a package by entry point, as declarations without comments: a change
 * of the public API is a change of this text.
 * @param directory of the package
 * @throws Error that names the file when a re-export cannot be resolved
 */
export function apiSurfaceOf(directory: string): string {
  const manifest = objectIn(JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')));
  const entries = Object.entries(objectIn(manifest['exports'])).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1].endsWith('.ts'),
  );
  const declarations = new Map<string, Map<string, string>>();
  const sections = entries.map(([entry, source]) => {
    const exported = exportsOf(join(directory, source)).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    const texts = exported.map(({ name, file, local, isForeign }) => {
      if (isForeign === true) return `export { ${name} } from '${file}';`;
      const known = declarations.get(file) ?? declarationsIn(file);
      declarations.set(file, known);
      const text = known.get(local);
      if (text === undefined) throw new Error(`${relative(directory, file)} declares no ${local}`);
      return name === local ? text : `// ${name} is ${local}\n${text}`;
    });
    return [`// ${String(manifest['name'])}${entry.slice(1)}`, ...texts].join('\n\n');
  });
  return `${sections.join('\n\n')}\n`;
}

function exportsOf(file: string): Export[] {
  const text = readFileSync(file, 'utf8');
  const code = maskedCode(text);
  const lists = [...code.matchAll(/^export (?:type )?\{([^}]*)\}(?: from ')?/gm)].flatMap(
    (list) => {
      const isFrom = list[0].endsWith("'");
      const start = list.index + list[0].length;
      const specifier = isFrom ? text.slice(start, code.indexOf("'", start)) : '';
      const target = specifier.startsWith('.') ? join(dirname(file), specifier) : file;
      return (list[1] ?? '')
        .split(',')
        .map((name) => name.trim().replace(/^type /, ''))
        .filter((name) => name !== '')
        .map((entry) => {
          const [local = entry, name = local] = entry.split(' as ');
          const isForeign = specifier !== '' && !specifier.startsWith('.');
          if (isForeign) return { name, file: specifier, local, isForeign };
          return declarationOf({ name, file: target, local });
        });
    },
  );
  const own = [
    ...code.matchAll(
      /^export (?:abstract )?(?:async )?(?:class|interface|type|function\*?|const) (\w+)/gm,
    ),
  ];
  const ownNames = new Set(own.map(([, name = '']) => name));
  return [...lists, ...[...ownNames].map((name) => ({ name, file, local: name }))];
}

/** Follows re-exports to the declaring file. */
function declarationOf(found: Export): Export {
  const next = exportsOf(found.file).find(({ name }) => name === found.local);
  return next === undefined ? found : { ...next, name: found.name };
}

/** The declarations of a file by name; the overloads of a function are kept together. */
function declarationsIn(file: string): Map<string, string> {
  const { code } = isolatedDeclarationSync(file, readFileSync(file, 'utf8'), {
    stripInternal: false,
    sourcemap: false,
  });
  const bare = withoutComments(code);
  const masked = maskedCode(bare);
  const starts = [
    ...masked.matchAll(/^(?:export |declare |abstract |interface |type |class |import )/gm),
  ]
    .map(({ index }) => index)
    .concat(bare.length);
  const found = new Map<string, string>();
  for (const [at, start] of starts.slice(0, -1).entries()) {
    const text = bare.slice(start, starts[at + 1]).trim();
    const name =
      /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|function\*?|const|let|enum) (\w+)/.exec(
        text,
      )?.[1];
    if (name === undefined) continue;
    const earlier = found.get(name);
    const shown = text.replace(/^export /, '').replace(/^declare /, '');
    found.set(name, earlier === undefined ? shown : `${earlier}\n${shown}`);
  }
  return found;
}

function withoutComments(code: string): string {
  const masked = maskedCode(code);
  return code
    .split('\n')
    .map((line, at) => ({ line, rest: masked.split('\n')[at] ?? '' }))
    .filter(({ line, rest }) => line.trim() === '' || rest.trim() !== '')
    .map(({ line }) => line)
    .join('\n')
    .replaceAll(/\n{2,}/g, '\n');
}
