/** Whether something can be done here; if not, the reason and what the caller can do about it. */
export type Availability = { readonly available: true } | Unavailable;

export interface Unavailable {
  readonly available: false;
  readonly reason: string;
  readonly remedy: string;
}
