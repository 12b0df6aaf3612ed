// Calls the handler with each line of the standard input, as Lambda does: one event at a time.
import { createInterface } from 'node:readline';
import { handler } from './handler.mjs';

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  console.log('response', JSON.stringify(await handler(JSON.parse(line))));
}
process.exit();
