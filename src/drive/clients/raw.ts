/** The default client: RESP bytes out as they are, replies skipped, nothing allocated per reply. */
import { OpStatus } from '../../measure/latency-log.ts';
import type { OpenClient } from '../client.ts';
import { Wire } from '../wire.ts';

export const openRaw: OpenClient = async (address, db, prefixes, sink) => {
  const wire = await Wire.open(address, db);
  let bytes: Uint8Array;
  let offset: Uint32Array;
  let inFlight = 0;
  wire.onReply = (reply, atUs) => {
    // What nobody asked for, like the reply to close()'s QUIT, is no op's.
    if (inFlight === 0) return;
    inFlight--;
    if (reply.isError) sink.replied(OpStatus.error, prefixes.idOf(reply.errorWord, reply.errorWordLength), atUs);
    else sink.replied(reply.nil ? OpStatus.nil : OpStatus.replied, 0, atUs);
  };
  wire.onLost = (reason) => sink.lost(reason);
  return {
    prepare: (opBytes, opOffset) => {
      bytes = opBytes;
      offset = opOffset;
    },
    send: (from, to) => {
      inFlight += to - from;
      wire.write(bytes.subarray(offset[from], offset[to]));
    },
    close: () => wire.close(),
    destroy: () => wire.destroy(),
  };
};
