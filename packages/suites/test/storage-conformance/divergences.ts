import type { Divergence } from './run-checks.ts';

/** The listed differences between a server and the expected results; an unlisted difference fails. */
export const divergences: readonly Divergence[] = [
  {
    server: 'own S3',
    check: 'an object can be tagged',
    verdict: 'NotImplemented 501',
    reason: 'No adapter stores tags.',
  },
  {
    server: 'own Supabase',
    check: 'Storage also answers in the S3 protocol',
    verdict: 'no such route',
    reason: 'An adapter for S3 is tested against an S3.',
  },
];
