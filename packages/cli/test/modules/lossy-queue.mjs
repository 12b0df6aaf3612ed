/** A queue that answers before Redis has the job: what it had not sent when Redis died is lost. */
import { once } from 'node:events';
import { Redis } from 'ioredis';

const KEY = 'jobs';

export default async function open({ url }) {
  const connect = () => {
    const client = new Redis(url, {
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      retryStrategy: () => 50,
    });
    client.on('error', () => undefined);
    return client;
  };
  const [producer, consumer] = [connect(), connect()];
  await Promise.all([once(producer, 'ready'), once(consumer, 'ready')]);
  const closing = new AbortController();
  return {
    async add(job) {
      producer.rpush(KEY, job).catch(() => undefined);
    },
    work(handler) {
      const next = async () => {
        while (!closing.signal.aborted) {
          const job = await consumer.lpop(KEY).catch(() => null);
          if (job !== null) handler(Number(job));
          else await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      void next();
    },
    async close() {
      closing.abort();
      producer.disconnect();
      consumer.disconnect();
    },
  };
}
