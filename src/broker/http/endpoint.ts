/**
 * The HTTP endpoint for operators: /livez, /readyz and /metrics. Reads only; whatever a caller
 * sends, the answer is a short text, and a connection that dawdles is cut.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { FatalError } from '../../base/errors.ts';
import { parseHostPort } from '../grpc/addresses.ts';
import { type EndpointLogger, SILENT_LOGGER } from '../grpc/logger.ts';
import { type Check, healthText, liveChecks, readyChecks } from './health.ts';
import {
  CONNECTION_CHECK_MS,
  CONNECTION_COUNT_MAX,
  HEADER_SIZE_BYTES_MAX,
  IDLE_CONNECTION_MS_MAX,
  REQUEST_MS_MAX,
  REQUESTS_PER_CONNECTION_MAX,
} from './limits.ts';
import { METRICS_CONTENT_TYPE } from './metrics-text.ts';
import { type MetricsSources, NodeMetrics } from './node-metrics.ts';
import type { NodeView } from './node-view.ts';

const TEXT_CONTENT_TYPE = 'text/plain; charset=utf-8';
/** A base for parsing the path of a request; no host is looked at. */
const ANY_ORIGIN = 'http://node';

export interface HttpEndpointOptions {
  /** `host:port`; port 0 picks one. */
  readonly listenAddress: string;
  readonly replica: NodeView;
  readonly sources: MetricsSources;
  /** True while the node is stopping: it wants no more clients. */
  readonly isDraining: () => boolean;
  readonly logger?: EndpointLogger;
}

export interface HttpEndpoint {
  /** `host:port` with the real port. */
  readonly address: string;
  /** Cuts open connections. Idempotent. */
  close(): Promise<void>;
}

/** @throws FatalError when the address cannot be listened on. */
export async function startHttpEndpoint(options: HttpEndpointOptions): Promise<HttpEndpoint> {
  const listen = parseHostPort(options.listenAddress);
  if (listen === null) {
    throw new FatalError(
      'badConfiguration',
      `The HTTP address is not of the form host:port: "${options.listenAddress}"`,
    );
  }
  const metrics = new NodeMetrics(options.replica, options.sources);
  const server = createServer(
    {
      maxHeaderSize: HEADER_SIZE_BYTES_MAX,
      requestTimeout: REQUEST_MS_MAX,
      headersTimeout: REQUEST_MS_MAX,
      connectionsCheckingInterval: CONNECTION_CHECK_MS,
      keepAliveTimeout: IDLE_CONNECTION_MS_MAX,
    },
    (request, response) => respond(request, response, pageOf(request, options, metrics)),
  );
  server.maxConnections = CONNECTION_COUNT_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX;
  server.on('clientError', (_error: Error, socket: Socket) => refuseGarbage(socket));
  try {
    await listening(server, listen.host, listen.port, options.listenAddress);
  } catch (error) {
    metrics.close();
    throw error;
  }
  const logger = options.logger ?? SILENT_LOGGER;
  // One connection could not be taken, for example for want of file descriptors; the next may be.
  server.on('error', (err) => logger.warn({ event: 'http.accept', err }, 'Lost a connection'));
  const { port } = server.address() as AddressInfo;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  let closed: Promise<void> | null = null;
  return {
    address: `${host}:${port}`,
    close: () => {
      closed ??= closeServer(server, metrics);
      return closed;
    },
  };
}

interface Page {
  readonly statusCode: number;
  readonly contentType: string;
  readonly body: string;
}

function pageOf(
  request: IncomingMessage,
  options: HttpEndpointOptions,
  metrics: NodeMetrics,
): Page {
  const method = request.method ?? '';
  if (method !== 'GET' && method !== 'HEAD') return textPage(405, 'Only GET is served here\n');
  if (!URL.canParse(request.url ?? '', ANY_ORIGIN)) return textPage(400, 'Not a path\n');
  const url = new URL(request.url ?? '', ANY_ORIGIN);
  const verbose = url.searchParams.has('verbose');
  switch (url.pathname) {
    case '/livez':
      return healthPage(liveChecks(options.replica), verbose);
    case '/readyz':
      return healthPage(readyChecks(options.replica, options.isDraining()), verbose);
    case '/metrics':
      return { statusCode: 200, contentType: METRICS_CONTENT_TYPE, body: metrics.render() };
    default:
      return textPage(404, 'Not here. Served are /livez, /readyz and /metrics\n');
  }
}

function healthPage(checks: readonly Check[], verbose: boolean): Page {
  const statusCode = checks.every(({ ok }) => ok) ? 200 : 503;
  return textPage(statusCode, healthText(checks, verbose));
}

function textPage(statusCode: number, body: string): Page {
  return { statusCode, contentType: TEXT_CONTENT_TYPE, body };
}

function respond(request: IncomingMessage, response: ServerResponse, page: Page): void {
  request.resume();
  const headers: Record<string, string> = {
    'content-type': page.contentType,
    'content-length': String(Buffer.byteLength(page.body)),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  if (page.statusCode === 405) headers['allow'] = 'GET, HEAD';
  response.writeHead(page.statusCode, headers);
  response.end(request.method === 'HEAD' ? undefined : page.body);
}

function refuseGarbage(socket: Socket): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
  else socket.destroy();
}

function listening(server: Server, host: string, port: number, asked: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const message = isTaken
        ? `Cannot serve HTTP on ${asked}: the port is taken by another process`
        : `Cannot serve HTTP on ${asked}: ${error.message}`;
      reject(
        new FatalError(isTaken ? 'addressInUse' : 'badConfiguration', message, { cause: error }),
      );
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.removeListener('error', onError);
      resolve();
    });
  });
}

function closeServer(server: Server, metrics: NodeMetrics): Promise<void> {
  metrics.close();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
