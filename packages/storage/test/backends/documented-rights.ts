import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SupabaseStorageServerOptions } from '@holdfast/stage';

/** The policies to paste of docs/recipes/storage-rights.md. */
const page = readFileSync(
  join(import.meta.dirname, '../../../../docs/recipes/storage-rights.md'),
  'utf8',
);

function blocks(language: string): string[] {
  return [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text ?? '');
}

interface Statement {
  readonly Action: string | readonly string[];
}

/** The bucket policy that gives one account what the IAM policy gives its user, without these actions. */
export function documentedBucketPolicy(accessKeyId: string, without: readonly string[]): string {
  const [text = '{}'] = blocks('json');
  const policy: { Version: string; Statement: Statement[] } = JSON.parse(text);
  const Statement = policy.Statement.flatMap((statement) => {
    const actions = [statement.Action].flat().filter((action) => !without.includes(action));
    const Principal = { AWS: `arn:aws:iam:::user/${accessKeyId}` };
    return actions.length === 0 ? [] : [{ ...statement, Action: actions, Principal }];
  });
  return JSON.stringify({ ...policy, Statement });
}

type Policies = NonNullable<SupabaseStorageServerOptions['policies']>;
type RowAction = Policies[number]['actions'][number];

const policyPattern =
  /create policy "[^"]+" on storage\.objects for (\w+) to authenticated\s+(?:using|with check) \(bucket_id = '(\w+)' and \(storage\.foldername\(name\)\)\[1\] = '(\w+)'\);/g;

/** What the SQL of the page permits, without these actions. */
export function documentedRowPolicies(
  which: 'folder' | 'drop box',
  without: readonly RowAction[] = [],
): Policies {
  const sql = blocks('sql')[which === 'folder' ? 0 : 1] ?? '';
  const policies = [...sql.matchAll(policyPattern)].map(([, action, bucket = '', folder]) => ({
    role: 'authenticated' as const,
    bucket,
    keyPrefix: `${folder}/`,
    actions: [actionOf(action)],
  }));
  if (policies.length !== sql.split('create policy').length - 1)
    throw new Error(`not read: ${sql}`);
  return policies.filter(({ actions }) => !actions.some((action) => without.includes(action)));
}

function actionOf(name: string | undefined): RowAction {
  const actions: readonly RowAction[] = ['select', 'insert', 'update', 'delete'];
  const found = actions.find((action) => action === name);
  if (found === undefined) throw new Error(`an unknown action: ${name}`);
  return found;
}
