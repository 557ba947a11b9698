/**
 * The ways between the nodes, and between clients and nodes, each direction for itself. `clients` is
 * the end where all clients are.
 */

export type End = string;
export const CLIENTS: End = 'clients';

/** How a bad way is bad. A number is 0 where that kind of badness is absent. */
export interface Badness {
  readonly lossPercent: number;
  readonly bytesPerSecond: number;
  readonly delayMs: number;
}

export interface NodeAddresses {
  readonly grpc: string;
  readonly raft: string;
  readonly http: string;
}

export interface Network {
  readonly kind: 'namespaces' | 'proxies';
  /** Before a program that shall live at the node. */
  launcherOf(node: string): readonly string[];
  /** Where the node listens. */
  addressesOf(node: string): NodeAddresses;
  nameServerAddress(number: number): string;
  /** Where clients find the node. */
  forClients(node: string): { readonly raft: string; readonly grpc: string };
  /** Where `from` finds the port for peers of `to`. */
  peerAddress(from: string, to: string): string;
  /** What is sent from one to the other is lost, without a word to either. */
  block(from: End, to: End): Promise<void>;
  worsen(from: End, to: End, badness: Badness): Promise<void>;
  /** All ways are as good as new. */
  healAll(): Promise<void>;
  /** The one way again. */
  heal(from: End, to: End): Promise<void>;
  /** What this kind of network cannot do of the badness; null: it does all. */
  lacks(badness: Badness): string | null;
  close(): Promise<void>;
}

export const PORTS = { grpc: 8081, raft: 10_912, http: 9_910, nameServer: 9_876 } as const;
