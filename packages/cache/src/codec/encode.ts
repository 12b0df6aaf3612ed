import { types } from 'node:util';
import { CacheValueError } from '../errors.ts';
import { bytesNameOf, errorNameOf, kindOf } from './kinds.ts';

/** The key of a tagged value: `{"$": ["date", 0]}`. An object that has this key itself is tagged too. */
export const TAG = '$';
/** How deep a value may be nested, far below what the stack of a decoder has room for. */
const MAX_DEPTH = 500;

/**
 * Writes a value as JSON in which all that JSON would change or drop has a tag: `undefined`, `NaN`, `-0`, bigint,
 * Date, Map, Set, RegExp, errors, buffers and typed arrays. Plain data is plain JSON.
 * @throws CacheValueError naming the path of the part that would not come back: a function, a symbol, an instance of
 * a class, a cycle, a hole in an array.
 */
export function encode(value: unknown): string {
  return JSON.stringify(new Tagger().tagged(value));
}

/** The steps of its path name where a part is; the parts around it reveal a cycle. */
class Tagger {
  readonly #path: string[] = [];
  readonly #around: object[] = [];

  /** The value itself where JSON writes it exactly. */
  tagged(value: unknown): unknown {
    const kind = kindOf(value);
    if (kind === 'json') return value;
    if (kind === 'undefined') return tag('undefined');
    if (kind === 'number') return tag('number', Object.is(value, -0) ? '-0' : String(value));
    if (kind === 'bigint') return tag('bigint', String(value));
    if (kind === 'refused' || typeof value !== 'object' || value === null) {
      return this.#refuse(value, 'which would not come back as it is');
    }
    if (this.#around.includes(value)) return this.#refuse(value, 'which contains itself');
    if (this.#around.length >= MAX_DEPTH) {
      return this.#refuse(value, `nested deeper than ${MAX_DEPTH}`);
    }
    this.#around.push(value);
    const written = this.#object(value, kind);
    this.#around.pop();
    return written;
  }

  #object(value: object, kind: ReturnType<typeof kindOf>): unknown {
    if (Array.isArray(value)) return this.#array(value);
    if (kind === 'object' || kind === 'null-prototype') return this.#record(value, kind);
    const ownKeys = Reflect.ownKeys(value);
    if (types.isNativeError(value)) return this.#error(value, ownKeys);
    if (kind === 'bytes') return this.#bytes(value);
    // The index of the last match belongs to every regular expression, and is written.
    const stray = ownKeys.find((key) => key !== 'lastIndex');
    if (stray !== undefined) {
      return this.#refuse(value, `whose property ${String(stray)} would not come back`);
    }
    if (types.isDate(value))
      return tag('date', Number.isNaN(value.getTime()) ? null : value.getTime());
    if (types.isMap(value)) return tag('map', this.#entries([...value]));
    if (types.isSet(value)) {
      return tag(
        'set',
        [...value].map((member, at) => this.#part(`<member ${at}>`, member)),
      );
    }
    if (types.isRegExp(value)) return tag('regexp', value.source, value.flags, value.lastIndex);
    return this.#refuse(value, 'which would not come back as it is');
  }

  #array(items: readonly unknown[]): unknown {
    let written: unknown[] | undefined;
    for (let at = 0; at < items.length; at += 1) {
      const item = items[at];
      if (item === undefined && !Object.hasOwn(items, at)) {
        return this.#refuse(items, `which has a hole at ${at}`);
      }
      const part = this.#part(`[${at}]`, item);
      if (part !== item) written ??= items.slice(0, at);
      written?.push(part);
    }
    if (Reflect.ownKeys(items).length !== items.length + 1) {
      return this.#refuse(items, 'which has properties beside its items');
    }
    return written ?? items;
  }

  #record(value: object, kind: string): unknown {
    const entries = Object.entries(value);
    if (Reflect.ownKeys(value).length !== entries.length) {
      return this.#refuse(value, 'which has symbols or properties that are not enumerable');
    }
    if (kind === 'null-prototype') return tag('null-prototype', this.#properties(entries));
    if (Object.hasOwn(value, TAG)) return tag('object', this.#properties(entries));
    const written = this.#properties(entries);
    return written.every(([, part], at) => part === entries[at]?.[1])
      ? value
      : Object.fromEntries(written);
  }

  #properties(entries: readonly [string, unknown][]): [string, unknown][] {
    return entries.map(([key, part]) => [key, this.#part(stepTo(key), part)]);
  }

  #entries(entries: readonly (readonly [unknown, unknown])[]): unknown[] {
    return entries.map(([key, part], at) => [
      this.#part(`<key ${at}>`, key),
      this.#part(typeof key === 'string' ? `<${JSON.stringify(key)}>` : `<value ${at}>`, part),
    ]);
  }

  #error(error: Error, ownKeys: readonly (string | symbol)[]): unknown {
    const symbol = ownKeys.find((key) => typeof key === 'symbol');
    if (symbol !== undefined) return this.#refuse(error, 'which has a symbol as a property');
    const properties = ownKeys.map((key): [string, unknown, number] => {
      const name = String(key);
      const isEnumerable = Object.prototype.propertyIsEnumerable.call(error, name);
      return [name, this.#part(stepTo(name), Reflect.get(error, name)), isEnumerable ? 1 : 0];
    });
    return tag('error', errorNameOf(error), properties);
  }

  #bytes(value: object): unknown {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : types.isArrayBuffer(value)
        ? Buffer.from(value)
        : Buffer.alloc(0);
    return tag('bytes', bytesNameOf(value), bytes.toString('base64'));
  }

  #part(step: string, value: unknown): unknown {
    if (typeof value === 'string') return value;
    this.#path.push(step);
    const written = this.tagged(value);
    this.#path.pop();
    return written;
  }

  #refuse(part: unknown, reason: string): never {
    throw new CacheValueError(`value${this.#path.join('')}`, part, reason);
  }
}

function tag(kind: string, ...content: readonly unknown[]): unknown {
  return { [TAG]: [kind, ...content] };
}

function stepTo(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
