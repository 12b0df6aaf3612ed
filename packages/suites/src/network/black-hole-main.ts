/** A server with the shortest queue of connections; its parent suspends it. */
import { createServer } from 'node:net';

const [host = '', port = '0'] = process.argv.slice(2);
const server = createServer();
server.listen({ host, port: Number(port), backlog: 1 }, () => {
  const address = server.address();
  process.send?.(typeof address === 'object' ? address?.port : 0);
});
process.on('disconnect', () => process.exit());
