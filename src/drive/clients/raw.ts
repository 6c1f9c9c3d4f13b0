/** The default client: RESP bytes out as they are, replies skipped, nothing allocated per reply. */
import { OpStatus } from '../../measure/latency-log.ts';
import type { OpenClient } from '../client.ts';
import { ReplyOrder } from '../reply-order.ts';
import { Wire } from '../wire.ts';

export const openRaw: OpenClient = async (address, db, prefixes, sink) => {
  const wire = await Wire.open(address, db);
  const order = new ReplyOrder();
  let bytes: Uint8Array;
  let offset: Uint32Array;
  wire.onReply = (reply, atUs) => {
    // What nobody asked for, like the reply to close()'s QUIT, is no op's.
    if (order.pending === 0) return;
    const k = order.take();
    if (reply.isError) sink.replied(k, OpStatus.error, prefixes.idOf(reply.errorWord, reply.errorWordLength), atUs);
    else sink.replied(k, reply.nil ? OpStatus.nil : OpStatus.replied, 0, atUs);
  };
  wire.onLost = (reason) => sink.lost(reason);
  return {
    prepare: (opBytes, opOffset) => {
      bytes = opBytes;
      offset = opOffset;
    },
    send: (from, to) => {
      order.sent(from, to);
      wire.write(bytes.subarray(offset[from], offset[to]));
    },
    sendInstead: (k, command) => {
      order.sentAgain(k);
      wire.write(command);
    },
    close: () => wire.close(),
    destroy: () => wire.destroy(),
  };
};
