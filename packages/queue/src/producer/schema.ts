import { SchemaViolationError } from '../errors.ts';

/** The part of a Standard Schema (https://standardschema.dev) that the queue uses. */
export interface StandardSchema {
  readonly '~standard': {
    validate(value: unknown): SchemaResult | Promise<SchemaResult>;
  };
}

type SchemaResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Validates a payload; returns the schema's output. @throws SchemaViolationError */
export async function validatePayload(
  topic: string,
  schema: StandardSchema,
  payload: unknown,
): Promise<unknown> {
  const result = await schema['~standard'].validate(payload);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path = [] }) => ({ message, path: pathText(path) }));
  throw new SchemaViolationError(topic, issues);
}

function pathText(path: NonNullable<SchemaIssue['path']>): string {
  return path.reduce<string>((text, step) => {
    const key = typeof step === 'object' ? step.key : step;
    return typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`;
  }, 'payload');
}
