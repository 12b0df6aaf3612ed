/**
 * The process that holds a listening socket while connects hang: it lowers the backlog to one and is then stopped, so
 * that nothing accepts. When it continues, it returns the socket and exits.
 */
import { Server, createServer } from 'node:net';

let kept: Server | undefined;

process.on('message', (message, handed) => {
  if (message === 'take' && handed instanceof Server) {
    kept = handed;
    createServer((ballast) => ballast.destroy()).listen(handed, 1, () => process.send?.('taken'));
  } else if (message === 'give back') {
    process.send?.('given', kept, {}, () => process.exit(0));
  }
});
process.on('disconnect', () => process.exit(0));
