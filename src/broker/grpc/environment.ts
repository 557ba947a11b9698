/** What every RPC of the endpoint works with; one per endpoint, built in endpoint.ts. */
import type { NodeId } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { BrokerGateway } from '../verbs.ts';
import type { BackgroundCalls } from './background-calls.ts';
import type { ClientRegistry } from './client-registry.ts';
import type { Closing } from './closing.ts';
import type { EndpointCounters } from './counters.ts';
import type { InFlightCalls } from './in-flight-calls.ts';
import type { LeaveTaking } from './leave-taking.ts';
import type { EndpointLogger } from './logger.ts';

/**
 * `perNode`: routes list every live node under its own address. `accessPoint`: routes repeat the
 * address that the client was configured with, for deployments behind one name or port mapping.
 */
export type RouteMode = 'perNode' | 'accessPoint';

export interface Environment {
  readonly gateway: BrokerGateway;
  readonly clock: Clock;
  readonly logger: EndpointLogger;
  readonly counters: EndpointCounters;
  readonly background: BackgroundCalls;
  readonly clients: ClientRegistry;
  readonly inFlight: InFlightCalls;
  readonly closing: Closing;
  readonly leaveTaking: LeaveTaking;
  readonly clusterName: string;
  readonly nodeId: NodeId;
  readonly advertisedAddress: string;
  readonly routeMode: RouteMode;
  /** The first route query of an unknown topic creates it. */
  readonly autoCreateTopics: boolean;
}
