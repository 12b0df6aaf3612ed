/** What the blocks of documents use without declaring it: names that a reader understands without a declaration. */

/** The bytes of an object. */
declare const bytes: Uint8Array;
/** The signal of the caller. */
declare const signal: AbortSignal;
/** Sends an e-mail, a batch or a request. */
declare function send(what: unknown, options?: { readonly signal: AbortSignal }): Promise<void>;
