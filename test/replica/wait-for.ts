/** Real time, for tests over sockets: waits for a condition, fails with a word when it never holds. */
const DEADLINE_MS = 10_000;

export async function waitFor(what: string, condition: () => boolean): Promise<void> {
  const startedMs = performance.now();
  while (!condition()) {
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error(`Never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
