import { type ParserOptions, parse } from '@babel/parser';

/** A statement, and whether it ran. */
interface Statement {
  readonly line: number;
  readonly ran: boolean;
}

/** The statements and branches of a source, and whether each ran. */
interface SourceUnits {
  readonly statements: readonly Statement[];
  readonly branches: readonly boolean[];
}

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly loc: { readonly start: { readonly line: number } };
  readonly [field: string]: unknown;
}

const options: ParserOptions = { sourceType: 'module', plugins: ['typescript'] };
/** Statements that only hold others, or that a run does not execute. */
const NOT_COUNTED = new Set([
  'BlockStatement',
  'EmptyStatement',
  'ExportAllDeclaration',
  'ExportNamedDeclaration',
  'FunctionDeclaration',
  'ImportDeclaration',
]);
const STATEMENT = /(?:Statement|Declaration)$/;
/** Those after which the next one of the same block runs. */
const FOLLOWED = new Set([
  'ExpressionStatement',
  'ForInStatement',
  'ForOfStatement',
  'ForStatement',
  'IfStatement',
  'ReturnStatement',
  'ThrowStatement',
  'TryStatement',
  'VariableDeclaration',
  'WhileStatement',
]);

/**
 * @param countAt how often a position ran.
 * @throws SyntaxError for a text that is no module of TypeScript.
 */
export function unitsOf(source: string, countAt: (at: number) => number): SourceUnits {
  const statements: Statement[] = [];
  const branches: boolean[] = [];
  /**
   * @param isDead whether the code around it or before it did not run: V8 gives the code after a `return` a count of
   * its own up to the next `&&` or `?` only.
   */
  const visit = (node: SyntaxNode, isDead: boolean): boolean => {
    if (isType(node)) return isDead;
    const ran = !isDead && countAt(node.start) > 0;
    const isStatement = STATEMENT.test(node.type);
    if (isStatement && !NOT_COUNTED.has(node.type)) {
      statements.push({ line: node.loc.start.line, ran });
    }
    branches.push(...branchesOf(node, countAt).map((taken) => taken && !isDead));
    // What is called by others need not run where it is written.
    const isDeadWithin = isStatement && node.type !== 'FunctionDeclaration' ? !ran : isDead;
    visitAll(childrenOf(node), isDeadWithin);
    return isDeadWithin;
  };
  const visitAll = (nodes: readonly SyntaxNode[], isDead: boolean): void => {
    let isDeadHere = isDead;
    for (const node of nodes) {
      const isDeadAfter = visit(node, node.type === 'FunctionDeclaration' ? isDead : isDeadHere);
      // The cases of a switch, and the parts of a statement, do not run one after the other.
      if (FOLLOWED.has(node.type)) isDeadHere = isDeadAfter;
    }
  };
  visitAll(childrenOf(parse(source, options).program), false);
  return { statements, branches };
}

/** Whether each branch of a node was taken. */
function branchesOf(node: SyntaxNode, countAt: (at: number) => number): boolean[] {
  const ran = (child: unknown): boolean[] => (isNode(child) ? [countAt(child.start) > 0] : []);
  switch (node.type) {
    case 'IfStatement': {
      const { consequent, alternate } = node;
      if (!isNode(consequent)) return [];
      // Without an `else`: it ran more often than what it guards.
      const isSkipped = countAt(node.start) > countAt(consequent.start);
      return [...ran(consequent), ...(isNode(alternate) ? ran(alternate) : [isSkipped])];
    }
    case 'ConditionalExpression':
      return [...ran(node['consequent']), ...ran(node['alternate'])];
    case 'LogicalExpression':
      return [...ran(node['left']), ...ran(node['right'])];
    case 'SwitchStatement':
      return [node['cases']].flat().flatMap((each) => ran(firstOf(each)));
    default:
      return [];
  }
}

/** The body of a case; one without a body falls through to the next. */
function firstOf(node: unknown): unknown {
  const body = isNode(node) ? node['consequent'] : undefined;
  return Array.isArray(body) ? body[0] : undefined;
}

function childrenOf(node: object): SyntaxNode[] {
  return Object.entries(node)
    .filter(([field]) => !/Comments$|^comments$|^tokens$|^extra$|^loc$/.test(field))
    .flatMap(([, value]) => [value].flat())
    .filter(isNode);
}

/** Types are erased before a run. */
function isType(node: SyntaxNode): boolean {
  return (
    /^TS(?!(?:As|Satisfies|NonNull)Expression|ParameterProperty)/.test(node.type) ||
    node['declare'] === true
  );
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}
