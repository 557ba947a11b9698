/** The JSON form of results: a contract with a version. 64-bit numbers are strings. */
export const API_VERSION = 'mq-raft/v1';

/** One object, one line. */
export function jsonLine(value: object): string {
  return `${JSON.stringify({ apiVersion: API_VERSION, ...value })}\n`;
}
