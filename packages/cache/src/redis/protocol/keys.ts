/** The names of a namespace in Redis. All have one hash tag, so that a cluster keeps them on one node. */
export class RedisKeys {
  readonly epoch: string;
  readonly stream: string;
  readonly #prefix: string;

  constructor(namespace: string) {
    this.#prefix = `holdfast:cache:{${namespace}}:`;
    this.epoch = `${this.#prefix}epoch`;
    this.stream = `${this.#prefix}stream`;
  }

  entry(key: string): string {
    return `${this.#prefix}entry:${nameOf(key)}`;
  }

  lock(key: string): string {
    return `${this.#prefix}lock:${nameOf(key)}`;
  }

  tag(tag: string): string {
    return `${this.#prefix}tag:${nameOf(tag)}`;
  }
}

const AS_IS = '=';
const ESCAPED = '!';

/** Halves of surrogate pairs have no UTF-8, and all of them would become one and the same key. */
export function nameOf(key: string): string {
  return key.isWellFormed() ? AS_IS + key : ESCAPED + JSON.stringify(key);
}

/** The key of a name; `undefined` for what is none. */
export function keyOf(name: string): string | undefined {
  if (name.startsWith(AS_IS)) return name.slice(1);
  if (!name.startsWith(ESCAPED)) return undefined;
  try {
    const key: unknown = JSON.parse(name.slice(1));
    return typeof key === 'string' ? key : undefined;
  } catch {
    return undefined;
  }
}
