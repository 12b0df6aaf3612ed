/** A question to a language model. */
export interface ModelRequest {
  readonly system: string;
  readonly prompt: string;
}

/** A whole answer, and what it cost. */
export interface ModelAnswer {
  readonly text: string;
  /** Why the model stopped, such as `end_turn` or `max_tokens`. */
  readonly stopReason: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What happens during a call. */
export type ModelProgress =
  | { readonly kind: 'timeout'; readonly message: string }
  | { readonly kind: 'api-error'; readonly status: number; readonly message: string }
  | { readonly kind: 'cut'; readonly message: string }
  | { readonly kind: 'backing-off'; readonly delayMs: number }
  | { readonly kind: 'retrying'; readonly attempt: number };

/** What every call takes. */
export interface ModelCallOptions {
  /** Ends the call with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called as the answer comes in, and when an attempt fails. */
  readonly onProgress?: ((progress: ModelProgress) => void) | undefined;
}

/** A language model: Claude, or whatever a test puts in its place. */
export interface EditModel {
  /**
   * Answers whole, or rejects.
   *
   * @throws ModelApiError; ModelTimeoutError; ModelAnswerCutError; ModelBudgetError; CircuitOpenError; the reason of
   * the signal
   */
  complete(request: ModelRequest, options?: ModelCallOptions): Promise<ModelAnswer>;
}
