type OptionalKeys<T> = {
  [Key in keyof T]: undefined extends T[Key] ? Key : never;
}[keyof T];

/** `T`, its fields that may be undefined as optional fields. */
type WithoutUndefined<T> = {
  [Key in Exclude<keyof T, OptionalKeys<T>>]: T[Key];
} & { [Key in OptionalKeys<T>]?: Exclude<T[Key], undefined> };

/** A copy without the fields that are undefined. */
export function withoutUndefined<T extends object>(value: T): WithoutUndefined<T>;
export function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
