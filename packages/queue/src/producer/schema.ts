import { isPromise } from 'node:util/types';
import { InvalidOptionError, type OptionRule, abortable } from '@holdfast/foundation';
import { SchemaViolationError } from '../errors.ts';

/** The part of a Standard Schema (https://standardschema.dev) that the queue uses. */
export interface StandardSchema<Input = unknown, Output = unknown> {
  readonly '~standard': {
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** Exists for the compiler only. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A schema, which is an object or, in some libraries, a function. */
export const standardSchema: OptionRule<StandardSchema> = {
  permitted: 'a schema of a library that implements Standard Schema',
  parse(value, field, owner) {
    if (isSchema(value)) return value;
    throw new InvalidOptionError(owner, field, value, standardSchema.permitted);
  },
};

export function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return false;
  const standard: unknown = Reflect.get(value, '~standard');
  if (typeof standard !== 'object' || standard === null) return false;
  return typeof Reflect.get(standard, 'validate') === 'function';
}

/** Validates a payload as JSON reads it back; returns the schema's output. @throws SchemaViolationError */
export function validatePayload(topic: string, schema: StandardSchema, json: string): unknown {
  const result = schema['~standard'].validate(JSON.parse(json));
  if ('then' in result) return result.then((settled) => outputOf(topic, settled));
  return outputOf(topic, result);
}

/**
 * Validates what a handler has returned, as JSON reads it back; resolves with the schema's output.
 * @param json absent for `undefined`.
 * @throws SchemaViolationError
 */
export async function validateResult(
  topic: string,
  schema: StandardSchema,
  json: string | undefined,
): Promise<unknown> {
  const value: unknown = json === undefined ? undefined : JSON.parse(json);
  return outputOf(topic, await schema['~standard'].validate(value), 'result');
}

function outputOf(topic: string, result: SchemaResult<unknown>, root = 'payload'): unknown {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path = [] }) => {
    return { message, path: pathText(path, root) };
  });
  throw new SchemaViolationError(topic, issues);
}

function pathText(path: NonNullable<SchemaIssue['path']>, root: string): string {
  return path.reduce<string>((text, step) => {
    const key = typeof step === 'object' ? step.key : step;
    return typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`;
  }, root);
}

/** Validates the payloads of topics with schemas, and keeps the order of the calls whatever validation takes. */
export class OrderedValidation {
  /** By topic: settles when every earlier job has been submitted or rejected. */
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Calls `submit` once all payloads are valid and the earlier jobs of the topic have been submitted: at once, if
   * the schema is synchronous.
   * @throws SchemaViolationError; the errors of `submit`; the reason of the signal
   */
  run<T>(
    {
      topic,
      schema,
      payloads,
      signal,
    }: {
      readonly topic: string;
      readonly schema: StandardSchema;
      readonly payloads: readonly string[];
      readonly signal: AbortSignal | undefined;
    },
    submit: () => Promise<T>,
  ): Promise<T> {
    const results = payloads.map((json) => {
      const result = validatePayload(topic, schema, json);
      // Handled at once: a later payload may be invalid at once, and then nobody waits for this one.
      if (isPromise(result)) result.catch(() => undefined);
      return result;
    });
    const before = this.#last.get(topic);
    const pending = results.filter((result) => isPromise(result));
    if (before === undefined && pending.length === 0) return submit();
    const submitted = this.#inTurn(before, pending, () => {
      signal?.throwIfAborted();
      // In an object, so that the next job does not wait until this one is accepted.
      return { accepted: submit() };
    });
    const settled = submitted.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(topic, settled);
    void settled.then(() => {
      if (this.#last.get(topic) === settled) this.#last.delete(topic);
    });
    const accepted = submitted.then((submission) => submission.accepted);
    return signal === undefined ? accepted : abortable(accepted, signal);
  }

  async #inTurn<T>(
    before: Promise<unknown> | undefined,
    pending: readonly Promise<unknown>[],
    submit: () => T,
  ): Promise<T> {
    const outputs = await Promise.allSettled(pending);
    await before;
    for (const output of outputs) if (output.status === 'rejected') throw output.reason;
    return submit();
  }
}
