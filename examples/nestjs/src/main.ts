import 'reflect-metadata';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OrdersController } from './orders-controller.js';
import { OrdersQueue } from './orders-queue.js';

@Module({ controllers: [OrdersController], providers: [OrdersQueue] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
let isClosing = false;
app.use((_request: IncomingMessage, response: ServerResponse, next: () => void) => {
  // A server waits for a kept connection for as long as requests arrive on it: let clients make another one.
  if (isClosing) response.setHeader('connection', 'close');
  next();
});
// Without it NestJS calls no hook at SIGTERM.
app.enableShutdownHooks(['SIGTERM']);
process.once('SIGTERM', () => {
  isClosing = true;
  // Closing a server ends the connections that are idle then; those of requests under way are kept after their response.
  setInterval(() => app.getHttpServer().closeIdleConnections(), 100).unref();
});
await app.listen(Number(process.env['PORT'] ?? '3000'));
console.log('listening', await app.getUrl());
