/** Being built. */
export type {} from 'node:fs';
