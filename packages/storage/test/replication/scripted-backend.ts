import {
  type BackendResult,
  type ObjectHead,
  type PutOptions,
  type PutReceipt,
  type StorageBackend,
  fail,
  ok,
} from '../../src/backend.ts';
import { collect } from '../../src/object/body.ts';

/** A backend that gives each of the prepared answers once, and then succeeds. */
export class ScriptedBackend implements StorageBackend {
  readonly name = 'primary';
  readonly bucket = 'b';
  readonly largeFromBytes = 100_000;
  /** What it was asked, with the conditions of writes. */
  readonly asked: string[] = [];
  readonly puts: (BackendResult<PutReceipt> | undefined)[] = [];
  readonly heads: BackendResult<ObjectHead>[] = [];
  readonly removes: BackendResult<undefined>[] = [];
  lastPut: PutOptions | undefined;

  /** Takes no marks. */
  refuseKey(key: string): string | undefined {
    return key.startsWith('.holdfast/') ? 'no marks here' : undefined;
  }

  async put(
    _: string,
    body: Parameters<StorageBackend['put']>[1],
    options: PutOptions,
  ): Promise<BackendResult<PutReceipt>> {
    const { condition } = options;
    const shown = typeof condition === 'object' ? condition.version : condition;
    this.asked.push(shown === 'none' ? 'put' : `put if ${shown}`);
    this.lastPut = options;
    const answer = this.puts.shift();
    await collect(body.open()).catch(() => undefined);
    return answer ?? ok({});
  }

  async head(): Promise<BackendResult<ObjectHead>> {
    this.asked.push('head');
    return this.heads.shift() ?? fail('notFound', 'no such object', { code: 'NoSuchKey' });
  }

  async remove(): Promise<BackendResult<undefined>> {
    this.asked.push('remove');
    return this.removes.shift() ?? ok(undefined);
  }

  async get(): Promise<never> {
    throw new Error('not called');
  }

  async list(): Promise<never> {
    throw new Error('not called');
  }

  async abandon(): Promise<BackendResult<undefined>> {
    this.asked.push('abandon');
    return ok(undefined);
  }
}
