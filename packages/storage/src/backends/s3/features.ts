import type { BackendResult, PutCondition, PutOptions, PutReceipt } from '../../backend.ts';
import {
  type AbsentSupport,
  type ConditionHeaders,
  type MatchSupport,
  conditionHeaders,
  probeAbsent,
  probeMatch,
  sweepProbes,
} from './conditions.ts';
import type { S3Session } from './session.ts';

/** The parts of a write that not every server supports. */
export interface WriteForm {
  /** Whether the request states checksums. */
  readonly checksums: boolean;
  readonly conditions: ConditionHeaders;
}

/** Looks whether a condition holds; `undefined` when it does. */
type Look = () => Promise<BackendResult<never> | undefined>;

/** Codes of failures that are about this object, whatever else the request states. */
const aboutObject = new Set(['EntityTooLarge', 'KeyTooLongError', 'MetadataTooLarge']);

/**
 * What one server supports beyond the plain writes of S3, each learned by itself: conditions by a probe before the
 * first write that needs them, checksums from the answers to writes that state them.
 */
export class S3Features {
  readonly #session: S3Session;
  #absent: AbsentSupport | undefined;
  #match: MatchSupport | undefined;
  #checksums: 'unproven' | 'accepted' | 'refused';

  constructor(
    session: S3Session,
    options: { conditionalWrites: boolean; quotedETags: boolean; checksums: boolean },
  ) {
    this.#session = session;
    this.#checksums = options.checksums ? 'unproven' : 'refused';
    if (!options.conditionalWrites) {
      this.#absent = 'refused';
      this.#match = 'refused';
    } else if (!options.quotedETags) {
      this.#match = 'plain';
    }
  }

  /**
   * Sends a write in the form that the server takes.
   * @param look called where the server checks no condition itself.
   */
  async write(
    key: string,
    { condition, signal }: Pick<PutOptions, 'condition' | 'signal'>,
    look: Look,
    put: (form: WriteForm) => Promise<BackendResult<PutReceipt>>,
  ): Promise<BackendResult<PutReceipt>> {
    const unlearned = await this.#learn(key, condition, signal);
    if (unlearned !== undefined) return unlearned;
    const isChecked = condition === 'none' || this.#checks(condition);
    const unmet = isChecked ? undefined : await look();
    if (unmet !== undefined) return unmet;
    const checksums = this.#checksums !== 'refused';
    const form = { checksums, conditions: conditionHeaders(condition, this.#support) };
    const sent = await put(form);
    if (sent.kind === 'ok' && checksums) this.#checksums = 'accepted';
    if (sent.kind === 'ok') void sweepProbes(this.#session);
    return isAboutForm(sent) ? this.#writePlainer(condition, form, sent, { look, put }) : sent;
  }

  get #support(): { absent: AbsentSupport | undefined; match: MatchSupport | undefined } {
    return { absent: this.#absent, match: this.#match };
  }

  #checks(condition: PutCondition): boolean {
    if (condition === 'absent') return this.#absent === 'checked';
    return this.#match === 'quoted' || this.#match === 'plain';
  }

  /** Resolves with the failure of a probe that shows nothing but an outage. */
  async #learn(
    key: string,
    condition: PutCondition,
    signal: AbortSignal,
  ): Promise<BackendResult<never> | undefined> {
    if (condition === 'none') return undefined;
    let probed: BackendResult<AbsentSupport | MatchSupport>;
    if (condition === 'absent') {
      if (this.#absent !== undefined) return undefined;
      const absent = await probeAbsent(this.#session, key, signal);
      if (absent.kind === 'ok') this.#absent = absent.value;
      probed = absent;
    } else {
      if (this.#match !== undefined) return undefined;
      const match = await probeMatch(this.#session, key, signal);
      if (match.kind === 'ok') this.#match = match.value;
      probed = match;
    }
    if (probed.kind === 'ok') return undefined;
    // Not permitted to probe: the write itself shows what it may do.
    if (probed.kind === 'denied' || probed.kind === 'invalid') return undefined;
    return probed.kind === 'conflict' ? { ...probed, kind: 'transient' } : probed;
  }

  /** Finds out which part of a refused write the server does not take, if it is a part that it can do without. */
  async #writePlainer(
    condition: PutCondition,
    refused: WriteForm,
    sent: BackendResult<PutReceipt>,
    { look, put }: { look: Look; put: (form: WriteForm) => Promise<BackendResult<PutReceipt>> },
  ): Promise<BackendResult<PutReceipt>> {
    const mayDropChecksums = refused.checksums && this.#checksums === 'unproven';
    const mayDropConditions = Object.keys(refused.conditions).length > 0;
    const plainer: WriteForm[] = [];
    if (mayDropChecksums) plainer.push({ ...refused, checksums: false });
    if (mayDropConditions) plainer.push({ ...refused, conditions: {} });
    if (mayDropChecksums && mayDropConditions) plainer.push({ checksums: false, conditions: {} });
    for (const form of plainer) {
      const dropsConditions = form.conditions !== refused.conditions;
      const unmet = dropsConditions ? await look() : undefined;
      if (unmet !== undefined) return unmet;
      const resent = await put(form);
      if (isAboutForm(resent)) continue;
      if (resent.kind === 'ok') {
        if (!form.checksums) this.#checksums = 'refused';
        if (dropsConditions && condition === 'absent') this.#absent = 'refused';
        else if (dropsConditions) this.#match = 'refused';
      }
      return resent;
    }
    return sent;
  }
}

/** Whether a write was refused for something that other writes may do without. */
function isAboutForm(sent: BackendResult<unknown>): boolean {
  return sent.kind === 'invalid' && !aboutObject.has(sent.code ?? '');
}
