/** One open connection to each address that was asked for; few, for a cluster has few nodes. */

export class Connections<Connection extends { close(): void }> {
  readonly #connect: (address: string) => Connection;
  readonly #open = new Map<string, Connection>();

  constructor(connect: (address: string) => Connection) {
    this.#connect = connect;
  }

  to(address: string): Connection {
    const open = this.#open.get(address);
    if (open !== undefined) return open;
    const connection = this.#connect(address);
    this.#open.set(address, connection);
    return connection;
  }

  close(): void {
    for (const connection of this.#open.values()) connection.close();
    this.#open.clear();
  }
}
