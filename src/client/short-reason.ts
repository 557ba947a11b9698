/** gRPC tells of a failed connection in a paragraph; a user needs the one word in it. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection broke',
  ENOTFOUND: 'there is no such host',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the network',
  ETIMEDOUT: 'the host does not answer',
};

/** @returns the text as it is when it names no cause that is known. */
export function shortReason(text: string): string {
  const code = /\bE[A-Z]{5,}\b/.exec(text)?.[0] ?? '';
  const words = WORDS[code];
  return words === undefined ? text : `${words} (${code})`;
}
