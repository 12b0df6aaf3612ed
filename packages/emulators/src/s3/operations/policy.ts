import { s3Error } from '../wire/error.ts';

/** The decision of a policy on a request; `undefined` when no statement matches. */
export type PolicyDecision = 'allow' | 'deny' | undefined;

/** A parsed bucket policy. */
export interface Policy {
  /**
   * A matching Deny overrides every Allow. `accessKeyId` is `undefined` for an anonymous caller, and `prefix` for a request
   * that lists nothing.
   */
  decide(
    accessKeyId: string | undefined,
    action: string,
    resource: string,
    prefix?: string,
  ): PolicyDecision;
}

interface PolicyStatement {
  readonly allows: boolean;
  isAbout(accessKeyId: string | undefined): boolean;
  covers(action: string, resource: string, prefix: string | undefined): boolean;
}

const KNOWN = new Set(['Sid', 'Effect', 'Principal', 'Action', 'Resource', 'Condition']);

/**
 * Parses a policy. Principals are `*` and access keys, bare or as the last part of an ARN; actions and
 * resources have wildcards. Of the conditions only `StringLike` on `s3:prefix` is supported. Unsupported fields that would
 * change the meaning (NotAction ...) are errors.
 * @throws S3Error MalformedPolicy
 */
export function parsePolicy(text: string): Policy {
  const document = objectOf(parse(text), 'The policy must be an object.');
  const listed = document['Statement'];
  const given: unknown[] = Array.isArray(listed) ? listed : [listed];
  const statements = given.map(parseStatement);
  return {
    decide(accessKeyId, action, resource, prefix) {
      const fitting = statements.filter(
        (statement) => statement.isAbout(accessKeyId) && statement.covers(action, resource, prefix),
      );
      if (fitting.some(({ allows }) => !allows)) return 'deny';
      return fitting.length > 0 ? 'allow' : undefined;
    },
  };
}

function parseStatement(given: unknown): PolicyStatement {
  const statement = objectOf(given, 'A statement must be an object.');
  for (const name of Object.keys(statement)) {
    if (!KNOWN.has(name)) throw s3Error('MalformedPolicy', `This server does not know ${name}.`);
  }
  const effect = statement['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') throw s3Error('MalformedPolicy', 'Invalid effect.');
  const actions = stringsOf(statement['Action'], 'Action').map((word) => wildcard(word, 'i'));
  const resources = stringsOf(statement['Resource'], 'Resource').map((word) => wildcard(word));
  const isMet = parseCondition(statement['Condition']);
  return {
    allows: effect === 'Allow',
    isAbout: parsePrincipal(statement['Principal']),
    covers: (action, resource, prefix) =>
      isMet(prefix) &&
      actions.some((pattern) => pattern.test(action)) &&
      resources.some((pattern) => pattern.test(resource)),
  };
}

function parsePrincipal(given: unknown): (accessKeyId: string | undefined) => boolean {
  if (given === '*') return () => true;
  const principal = objectOf(given, 'Invalid principal in policy.');
  // Callers are never services or federated users.
  const names = 'AWS' in principal ? stringsOf(principal['AWS'], 'Principal') : [];
  const keys = names.map((name) => name.slice(name.lastIndexOf('/') + 1));
  return (accessKeyId) =>
    keys.some((key) => key === '*' || (accessKeyId !== undefined && key === accessKeyId));
}

/** A condition on a prefix is not met by a request without one. */
function parseCondition(given: unknown): (prefix: string | undefined) => boolean {
  if (given === undefined) return () => true;
  const likes = objectOf(objectOf(given, 'Invalid condition.')['StringLike'], 'Invalid condition.');
  const keys = [...Object.keys(objectOf(given, '')), ...Object.keys(likes)];
  if (keys.join() !== 'StringLike,s3:prefix') {
    throw s3Error(
      'MalformedPolicy',
      'This server knows only the condition StringLike on s3:prefix.',
    );
  }
  const patterns = stringsOf(likes['s3:prefix'], 'Condition').map((word) => wildcard(word));
  return (prefix) => prefix !== undefined && patterns.some((pattern) => pattern.test(prefix));
}

function stringsOf(given: unknown, field: string): string[] {
  const words: unknown[] = Array.isArray(given) ? given : [given];
  return words.map((word) => {
    if (typeof word === 'string' && word !== '') return word;
    throw s3Error('MalformedPolicy', `Policy has an invalid ${field.toLowerCase()}.`);
  });
}

/** `*` for any characters, `?` for one. */
function wildcard(pattern: string, flags = ''): RegExp {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '[^]*')
    .replaceAll('?', '[^]');
  return new RegExp(`^${source}$`, flags);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw s3Error('MalformedPolicy', 'This policy contains invalid Json');
  }
}

function objectOf(value: unknown, otherwise: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw s3Error('MalformedPolicy', otherwise);
  }
  return { ...value };
}
