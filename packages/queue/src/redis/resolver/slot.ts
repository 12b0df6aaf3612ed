const SLOTS = 16_384;

/**
 * The cluster slot of a topic, whose name is the hash tag of all its keys: CRC16 (XMODEM: polynomial
 * 0x1021, from 0) modulo 16384. Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
export function slotOfTopic(topic: string): number {
  let crc = 0;
  for (const byte of Buffer.from(topic)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    }
    crc &= 0xffff;
  }
  return crc % SLOTS;
}
