/** When a server process should stop: SIGTERM, SIGINT, or its supervisor went away. */

/**
 * Calls back once. A second signal ends the process at once.
 *
 * @param supervised standard input is a pipe of the supervisor: its end means that it died
 */
export function onStopSignal(supervised: boolean, onStop: (why: string) => void): void {
  let hasStopped = false;
  const stop = (why: string): void => {
    if (hasStopped) return;
    hasStopped = true;
    onStop(why);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (hasStopped) process.exit(130);
    stop(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  if (!supervised) return;
  process.stdin.resume();
  process.stdin.on('end', () => stop('supervisor gone'));
  process.stdin.on('error', () => stop('supervisor gone'));
}
