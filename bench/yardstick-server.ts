/**
 * The machine's own limit: one process, one socket, one preallocated file, group commit with
 * fdatasync, no replication, no protocol. Frames are fixed in size; the answer is one byte each.
 * argv: file, frame size in bytes. Prints the port.
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  writeSync,
  writev,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';

const FILE_SIZE_BYTES = 256 * 1024 * 1024;
const FILL_SIZE_BYTES = 1024 * 1024;

const [path, frameSizeText] = process.argv.slice(2);
if (path === undefined || frameSizeText === undefined) throw new Error('argv: file, frame size');
const frameSizeBytes = Number(frameSizeText);

const file = openSync(path, 'w+');
const zeros = Buffer.alloc(FILL_SIZE_BYTES);
for (let at = 0; at < FILE_SIZE_BYTES; at += FILL_SIZE_BYTES) {
  writeSync(file, zeros, 0, FILL_SIZE_BYTES, at);
}
fsyncSync(file);
fdatasyncSync(file);

interface Pending {
  readonly socket: Socket;
  readonly bytes: Buffer;
  readonly frames: number;
}
let queue: Pending[] = [];
let isWriting = false;
let position = 0;

function writeBatch(): void {
  if (isWriting || queue.length === 0) return;
  isWriting = true;
  const batch = queue;
  queue = [];
  const sizeBytes = batch.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (position + sizeBytes > FILE_SIZE_BYTES) position = 0;
  const at = position;
  position += sizeBytes;
  const chunks = batch.map(({ bytes }) => bytes);
  writev(file, chunks, at, (writeError, written) => {
    if (writeError) throw writeError;
    if (written !== sizeBytes) throw new Error(`Short write: ${written} of ${sizeBytes} bytes`);
    fdatasync(file, (syncError) => {
      if (syncError) throw syncError;
      isWriting = false;
      for (const { socket, frames } of batch) socket.write(Buffer.alloc(frames, 1));
      writeBatch();
    });
  });
}

const server = createServer((socket) => {
  socket.setNoDelay(true);
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames = Math.floor(bytes.length / frameSizeBytes);
    rest = bytes.subarray(frames * frameSizeBytes);
    if (frames === 0) return;
    queue.push({ socket, bytes: bytes.subarray(0, frames * frameSizeBytes), frames });
    writeBatch();
  });
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  console.log(String(address.port));
});
process.stdin.resume().on('end', () => {
  closeSync(file);
  process.exit(0);
});
