/** Called once when the server starts, before its first request. */
export async function register(): Promise<void> {
  if (process.env['NEXT_RUNTIME'] !== 'nodejs') return;
  const { jobs } = await import('./queue/jobs');
  await jobs.ready();
  jobs.process('orders', ({ id }) => console.log('handled', id));
}
