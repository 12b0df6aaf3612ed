import { jobs } from '../../../queue/jobs';

export async function POST(request: Request): Promise<Response> {
  const order: unknown = await request.json();
  const { id, accepted } = await jobs.enqueue('orders', order);
  return Response.json({ id, accepted }, { status: 202 });
}
