import {
  type BeforeApplicationShutdown,
  Body,
  Controller,
  Get,
  HttpCode,
  Post,
  ServiceUnavailableException,
} from '@nestjs/common';
import { OrdersQueue } from './orders-queue.js';

@Controller()
export class OrdersController implements BeforeApplicationShutdown {
  #isClosing = false;

  constructor(private readonly queue: OrdersQueue) {}

  @Get('readyz')
  ready(): string {
    if (this.#isClosing || !this.queue.isHealthy) throw new ServiceUnavailableException();
    return 'ready';
  }

  @Post('orders')
  @HttpCode(202)
  async add(@Body() order: unknown): Promise<{ id: string; accepted: string }> {
    try {
      return await this.queue.add(order);
    } catch (error) {
      throw new ServiceUnavailableException({ code: Object(error).code }, { cause: error });
    }
  }

  /** Called while the server still answers. */
  beforeApplicationShutdown(): void {
    this.#isClosing = true;
  }
}
