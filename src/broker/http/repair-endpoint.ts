/**
 * What the HTTP port says while the log of this node is repaired: it lives, it is not ready, and what is
 * missing. The endpoint of a node in service (endpoint.ts) takes the port over afterwards.
 */
import { createServer, type ServerResponse } from 'node:http';
import { FatalError } from '../../base/errors.ts';
import { parseHostPort } from '../grpc/addresses.ts';
import {
  CONNECTION_CHECK_MS,
  CONNECTION_COUNT_MAX,
  HEADER_SIZE_BYTES_MAX,
  REQUEST_MS_MAX,
} from './limits.ts';
import { METRICS_CONTENT_TYPE, MetricsText } from './metrics-text.ts';

export interface RepairState {
  /** In words: `entries 4 to 9`. */
  readonly missing: string;
  readonly missingCount: number;
  /** null: unknown. */
  readonly missingBytes: number | null;
  readonly bytesPerSecond: number;
}

export interface RepairEndpoint {
  /** Cuts open connections. Idempotent. */
  close(): Promise<void>;
}

/** @throws FatalError when the address cannot be listened on. */
export async function startRepairEndpoint(
  listenAddress: string,
  state: () => RepairState,
): Promise<RepairEndpoint> {
  const listen = parseHostPort(listenAddress);
  if (listen === null) {
    throw new FatalError('badConfiguration', `Not of the form host:port: "${listenAddress}"`);
  }
  const limits = {
    maxHeaderSize: HEADER_SIZE_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    headersTimeout: REQUEST_MS_MAX,
    connectionsCheckingInterval: CONNECTION_CHECK_MS,
  };
  const server = createServer(limits, (request, response) => {
    request.resume();
    const path = (request.url ?? '').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') send(response, 405, '');
    else answer(response, path ?? '', state());
  });
  server.maxConnections = CONNECTION_COUNT_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const sentence = `Cannot serve HTTP on ${listenAddress}: ${error.message}`;
      reject(new FatalError('addressInUse', sentence, { cause: error }));
    });
    server.listen(listen.port, listen.host, resolve);
  });
  let closed: Promise<void> | null = null;
  return {
    close: () => {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closed;
    },
  };
}

function answer(
  response: ServerResponse,
  path: string,
  { missing, missingCount, missingBytes, bytesPerSecond }: RepairState,
): void {
  switch (path) {
    case '/livez':
      send(response, 200, 'ok\n');
      return;
    case '/readyz':
      send(response, 503, `[-] log: under repair, ${missing} missing\nfailed\n`);
      return;
    case '/metrics': {
      const text = new MetricsText();
      text.gauge('mqraft_repair_active', 'One while the log is under repair.', 1);
      text.gauge('mqraft_repair_missing_entries', 'Entries that are missing.', missingCount);
      if (missingBytes !== null) {
        text.gauge('mqraft_repair_missing_bytes', 'What they take in the log.', missingBytes);
      }
      text.gauge('mqraft_repair_bytes_per_second', 'Put back, of late.', bytesPerSecond);
      send(response, 200, text.toString(), METRICS_CONTENT_TYPE);
      return;
    }
    default:
      send(response, 404, 'Not here. Served are /livez, /readyz and /metrics\n');
  }
}

function send(
  response: ServerResponse,
  statusCode: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  const length = String(Buffer.byteLength(body));
  const headers = { 'content-type': contentType, 'content-length': length };
  response.writeHead(statusCode, { ...headers, 'cache-control': 'no-store' });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
