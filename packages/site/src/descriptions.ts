import { relative, sep } from 'node:path';
import ts from 'typescript';
import { entryPointsIn } from './entry-points.ts';

/** An export or an option field of a published package. */
export interface PublicName {
  /** The folder of the package: `queue`. */
  readonly package: string;
  /** `createQueueAdapter`, `QueueOptions.maxTopics`, `QueueOptions.reconnect.maxDelayMs`. */
  readonly name: string;
  readonly kind: 'export' | 'option';
  /** Its declaration: `packages/queue/src/options.ts:12`. */
  readonly at: string;
  /** Its doc comment, without tags; empty when there is none. */
  readonly description: string;
}

const OPTIONS = /Options$/;

/** A method that is implemented for the language has the meaning that the language gives it. */
const isOfLanguage = (name: string): boolean => name.startsWith('__@') || name === 'prototype';

/** Every export of the published packages, and every field of their options, with what the doc comment says. */
export function publicNamesIn(root: string): PublicName[] {
  const entries = entryPointsIn(root);
  const program = programOf(entries.map(({ file }) => file));
  const reader = new Reader(root, program.getTypeChecker());
  for (const entry of entries) {
    const file = program.getSourceFile(entry.file);
    if (file === undefined) throw new Error(`${entry.file} could not be read`);
    reader.readModule(entry.package, file);
  }
  return [...reader.names.values()];
}

/** The sources alone: which names there are, and what is said of them, does not depend on other projects. */
function programOf(files: readonly string[]): ts.Program {
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    noLib: true,
    types: [],
    allowImportingTsExtensions: true,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  const resolve = (specifier: string, from: string): ts.ResolvedModuleFull | undefined =>
    /^(?:\.|@holdfast\/)/.test(specifier)
      ? ts.resolveModuleName(specifier, from, options, host).resolvedModule
      : undefined;
  host.resolveModuleNameLiterals = (literals, from) =>
    literals.map(({ text }) => ({ resolvedModule: resolve(text, from) }));
  return ts.createProgram(files, options, host);
}

class Reader {
  /** By declaration, because a name may be exported by several entry points. */
  readonly names = new Map<string, PublicName>();
  readonly #root: string;
  readonly #checker: ts.TypeChecker;

  constructor(root: string, checker: ts.TypeChecker) {
    this.#root = root;
    this.#checker = checker;
  }

  readModule(owner: string, file: ts.SourceFile): void {
    const module = this.#checker.getSymbolAtLocation(file);
    if (module === undefined) return;
    for (const exported of this.#checker.getExportsOfModule(module)) {
      const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
      const symbol = isAlias ? this.#checker.getAliasedSymbol(exported) : exported;
      this.#add(owner, exported.name, 'export', symbol);
      if (OPTIONS.test(exported.name)) this.#readFields(owner, exported.name, symbol.declarations);
    }
  }

  #readFields(owner: string, name: string, declarations: readonly ts.Node[] = []): void {
    for (const declaration of declarations) {
      if (ts.isInterfaceDeclaration(declaration))
        this.#readMembers(owner, name, declaration.members);
      else if (ts.isTypeAliasDeclaration(declaration))
        this.#readType(owner, name, declaration.type);
    }
  }

  /** The fields of an object type that is written out, in unions and intersections too. */
  #readType(owner: string, name: string, type: ts.TypeNode | undefined): void {
    if (type === undefined) return;
    if (ts.isTypeLiteralNode(type)) this.#readMembers(owner, name, type.members);
    else if (ts.isUnionTypeNode(type) || ts.isIntersectionTypeNode(type)) {
      for (const part of type.types) this.#readType(owner, name, part);
    } else if (ts.isTypeOperatorNode(type) || ts.isParenthesizedTypeNode(type)) {
      this.#readType(owner, name, type.type);
    } else if (ts.isTypeReferenceNode(type)) {
      for (const part of type.typeArguments ?? []) this.#readType(owner, name, part);
    } else if (ts.isArrayTypeNode(type)) this.#readType(owner, name, type.elementType);
  }

  #readMembers(owner: string, name: string, members: Iterable<ts.TypeElement>): void {
    for (const member of members) {
      if (!ts.isPropertySignature(member) && !ts.isMethodSignature(member)) continue;
      const symbol = this.#checker.getSymbolAtLocation(member.name);
      if (symbol === undefined || isOfLanguage(symbol.name)) continue;
      const field = `${name}.${symbol.name}`;
      this.#add(owner, field, 'option', symbol);
      this.#readType(owner, field, member.type);
    }
  }

  #add(owner: string, name: string, kind: PublicName['kind'], symbol: ts.Symbol): void {
    const declaration = symbol.declarations?.[0];
    if (declaration === undefined) return;
    const file = declaration.getSourceFile();
    const path = relative(this.#root, file.fileName).split(sep).join('/');
    // What another project declares is described there.
    if (!path.startsWith(`packages/${owner}/`)) return;
    const { line } = file.getLineAndCharacterOfPosition(declaration.getStart());
    const key = `${path}:${declaration.pos}`;
    if (this.names.has(key)) return;
    const description = ts.displayPartsToString(symbol.getDocumentationComment(this.#checker));
    this.names.set(key, { package: owner, name, kind, at: `${path}:${line + 1}`, description });
  }
}
