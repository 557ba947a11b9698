/** The network of a scenario: what is in flight stays there until a command delivers or drops it. */
import type { Message } from '../../src/raft/messages.ts';
import type { SimNode } from './node.ts';

export interface InFlight {
  readonly from: SimNode;
  readonly to: SimNode;
  readonly message: Message;
}

/** Words of a command: nothing, [to], [from, to], or [from, to, how many at most]. */
export type Route = readonly string[];

export class ScenarioNetwork {
  /** Oldest first. */
  #inFlight: InFlight[] = [];
  #held: InFlight[] = [];
  readonly #cutNodes = new Set<SimNode>();
  /** Cut directions. */
  readonly #cutEdges = new Set<string>();

  get inFlight(): readonly InFlight[] {
    return this.#inFlight;
  }

  /** @returns whether the message is under way now; else it is lost. */
  send(inFlight: InFlight): boolean {
    const { from, to } = inFlight;
    const isCut = this.#cutNodes.has(from) || this.#cutNodes.has(to);
    if (isCut || this.#cutEdges.has(edgeOf(from, to))) return false;
    this.#inFlight.push(inFlight);
    return true;
  }

  take([first, second, count]: Route): readonly InFlight[] {
    const isMeant = ({ from, to }: InFlight): boolean => {
      if (second !== undefined) return from.id === first && to.id === second;
      return first === undefined || to.id === first;
    };
    const meant = this.#inFlight.filter(isMeant);
    const taken = count === undefined ? meant : meant.slice(0, Number(count));
    this.#inFlight = this.#inFlight.filter((message) => !taken.includes(message));
    return taken;
  }

  /** Whoever should get it does not look at its sockets. */
  putBack(inFlight: InFlight): void {
    this.#inFlight.push(inFlight);
  }

  hold(taken: readonly InFlight[]): void {
    this.#held.push(...taken);
  }

  copy(route: Route): void {
    const taken = this.take(route);
    this.hold(taken.map((inFlight) => ({ ...inFlight })));
    this.#inFlight = [...taken, ...this.#inFlight];
  }

  release(): void {
    this.#inFlight.push(...this.#held);
    this.#held = [];
  }

  /** Everything from and to the node, or one direction. */
  cut(node: SimNode, to: SimNode | null): void {
    if (to === null) this.#cutNodes.add(node);
    else this.#cutEdges.add(edgeOf(node, to));
  }

  heal(): void {
    this.#cutNodes.clear();
    this.#cutEdges.clear();
  }
}

function edgeOf(from: SimNode, to: SimNode): string {
  return `${from.id} ${to.id}`;
}
