import type { Divergence } from './run-checks.ts';

/** Where a server differs from what is expected of it. None is silent: an unlisted one fails. */
export const divergences: readonly Divergence[] = [
  {
    server: 'own S3',
    check: 'a bucket tells whether it keeps versions',
    verdict: 'NotImplemented 501',
    reason: 'It keeps one version of each object; nothing here asks for more.',
  },
  {
    server: 'own S3',
    check: 'an object takes tags',
    verdict: 'NotImplemented 501',
    reason: 'Tags are no part of what an adapter stores.',
  },
  {
    server: 'own Supabase',
    check: 'Storage answers in the protocol of S3 as well',
    verdict: 'no such route',
    reason: 'An adapter that speaks S3 is judged against an S3.',
  },
];
