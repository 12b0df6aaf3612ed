/**
 * The process that a listening socket is handed to while connects are to hang: it lowers the backlog to one
 * and is then stopped, so that nobody accepts. When it goes on, it hands the socket back and ends.
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
