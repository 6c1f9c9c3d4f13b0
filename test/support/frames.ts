/** Turns a socket's bytes into whole RESP commands or replies, for servers that stand in for real ones. */
import type { Socket } from 'node:net';
import { ReplySkipper } from '../../src/drive/reply-skipper.ts';

/** Calls `onFrame` with each whole command or reply, and `onChunk` when those of one read are through. */
export function onFrames(socket: Socket, onFrame: (frame: Buffer) => void, onChunk: () => void): void {
  const skipper = new ReplySkipper();
  let begun: Buffer[] = [];
  socket.on('data', (chunk) => {
    let start = 0;
    skipper.feed(chunk, chunk.length, (end) => {
      const tail = chunk.subarray(start, end);
      onFrame(begun.length > 0 ? Buffer.concat([...begun, tail]) : tail);
      begun = [];
      start = end;
    });
    if (start < chunk.length) begun.push(chunk.subarray(start));
    onChunk();
  });
}

/** What comes after the name of a command, most often its key; empty where there is none, or it is very long. */
export function firstArgumentOf(command: Buffer): string {
  return /^\*\d+\r\n\$\d+\r\n[^\r]*\r\n\$\d+\r\n([^\r]*)/.exec(command.toString('latin1', 0, 256))?.[1] ?? '';
}

/** The name of a command, as it was sent. */
export function nameOf(command: Buffer): string {
  return /^\*\d+\r\n\$\d+\r\n([^\r]*)/.exec(command.toString('latin1', 0, 64))?.[1] ?? '';
}
