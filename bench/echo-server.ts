/** Answers every byte with itself: one loopback round trip is a byte there and back. Prints the port. */
import { createServer } from 'node:net';

const server = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  console.log(String(address.port));
});
process.stdin.resume().on('end', () => process.exit(0));
