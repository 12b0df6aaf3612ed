/** Codecs of the wire, for what breaks and emulates servers; each protocol has an entry point of its own. */
export { ProtocolError } from './protocol-error.ts';
export { addressBytes } from './ip-address.ts';
