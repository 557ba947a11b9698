/** Who releases what a test has opened, last opened first, however the test ends. */

export interface Owner {
  after(release: () => Promise<void>): void;
}

/** Runs `body` and then the releases in reverse order; the first error wins. */
export async function owning(body: (owner: Owner) => Promise<void>): Promise<void> {
  const releases: (() => Promise<void>)[] = [];
  const errors: unknown[] = [];
  try {
    await body({ after: (release) => releases.push(release) });
  } catch (error) {
    errors.push(error);
  }
  for (const release of releases.reverse()) {
    try {
      await release();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
