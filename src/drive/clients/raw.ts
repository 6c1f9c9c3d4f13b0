/** The default client: RESP bytes out as they are, replies skipped, nothing allocated per reply. */
import { OpStatus } from '../../measure/latency-log.ts';
import type { OpenClient } from '../client.ts';
import { LaneOps } from '../thread/lane-ops.ts';
import { ReplyOrder } from '../thread/reply-order.ts';
import { Wire } from '../wire.ts';

export const openRaw: OpenClient = async (address, db, prefixes, sink) => {
  const wire = await Wire.open(address, db);
  const order = new ReplyOrder(() => sink.sent);
  let ops = LaneOps.none;
  wire.onReply = (reply, atUs) => {
    const k = order.take();
    // What nobody asked for, like the reply to close()'s QUIT, is no op's.
    if (k === undefined) return;
    if (reply.isError) sink.replied(k, OpStatus.error, prefixes.idOf(reply.errorWord, reply.errorWordLength), atUs);
    else sink.replied(k, reply.nil ? OpStatus.nil : OpStatus.replied, 0, atUs);
  };
  wire.onLost = (reason) => sink.lost(reason);
  return {
    prepare: (prepared) => {
      // A connection that never came to stand, because it was opened too late, must not speak for the one that does.
      wire.onClosing = () => sink.closing();
      ops = prepared;
      order.restart();
    },
    send: (from, to) => {
      wire.write(ops.run(from, to));
    },
    sendInstead: (k, command) => {
      order.sentAgain(k);
      wire.write(command);
    },
    get cursor() {
      return wire.reply.cursor;
    },
    close: () => wire.close(),
    destroy: () => wire.destroy(),
    ...(wire.descriptor === undefined ? {} : { socket: wire as typeof wire & { descriptor: number } }),
  };
};
