/** Alerts by mail, over SMTP; needs `nodemailer`. */
import { createHash } from 'node:crypto';
import { abortable, parseOptions, propertyOf, string } from '@holdfast/foundation';
import { createTransport } from 'nodemailer';
import { listOf } from '../../options/collections.ts';
import type { AlertChannel, AlertNotification } from '../alerts.ts';
import { AlertChannelError } from '../errors.ts';
import { headline } from './channels.ts';

/** Options of {@link smtpChannel}. */
export interface SmtpChannelOptions {
  /** The server, such as `smtps://user:password@mail.example.com`. */
  url: string;
  /** The sender. */
  from: string;
  /** The receivers, all of one message. */
  to: readonly string[];
}

const URL_LENGTH = 2_000;
const ADDRESS_LENGTH = 320;
const CONNECT_TIMEOUT_MS = 10_000;
const PERMANENT = 500;
const HASH_LENGTH = 32;

/**
 * Sends each notification as a mail whose `Message-ID` is the same for every attempt, and which refers to the first
 * of its incident, so that a mailbox shows one thread.
 * @throws InvalidOptionError
 */
export function smtpChannel(options: SmtpChannelOptions): AlertChannel {
  const address = string({ maxLength: ADDRESS_LENGTH });
  const schema = {
    url: string({ maxLength: URL_LENGTH }),
    from: address,
    to: listOf(address, { min: 1, max: 100 }),
  };
  const { url, from, to } = parseOptions('smtpChannel', schema, options);
  return {
    async send(notification, { signal }) {
      // A transport for each mail: one that hangs is left to its own time limits.
      const transport = createTransport({
        url,
        connectionTimeout: CONNECT_TIMEOUT_MS,
        greetingTimeout: CONNECT_TIMEOUT_MS,
        socketTimeout: CONNECT_TIMEOUT_MS,
      });
      try {
        const sending = transport.sendMail({
          from,
          to: [...to],
          subject: headline(notification),
          text: mailText(notification),
          messageId: messageId(notification.id),
          references: [messageId(notification.incident)],
        });
        await abortable(sending, signal);
      } catch (cause) {
        signal.throwIfAborted();
        const code = propertyOf(cause, 'responseCode');
        const isPermanent = typeof code === 'number' && code >= PERMANENT;
        const reason =
          typeof code === 'number' ? `the server answered ${code}` : 'the mail was not sent';
        throw new AlertChannelError('smtp', reason, { retryable: !isPermanent, cause });
      } finally {
        transport.close();
      }
    },
  };
}

function messageId(id: string): string {
  return `<${createHash('sha256').update(id).digest('hex').slice(0, HASH_LENGTH)}@holdfast>`;
}

function mailText({ alerts, firing, incident, labels }: AlertNotification): string {
  const lines = [
    `Incident: ${incident}`,
    `Firing: ${firing}`,
    ...Object.entries(labels).map(([name, value]) => `${name}: ${value}`),
    '',
    ...alerts.map(({ name, summary }) => `- ${name}: ${summary}`),
  ];
  return lines.join('\n');
}
