/**
 * While a run lasts nothing may ask the real world for time or chance: a run would no longer be a
 * function of its seed. Whoever does gets an exception, and the run a violation.
 */
const TIMERS = ['setTimeout', 'setInterval'] as const;

/** @returns takes the trap away */
export function setRealTimeTrap(onTouch: (what: string) => void): () => void {
  const touch = (what: string) => (): never => {
    onTouch(what);
    throw new Error(`${what} is not for a simulated node`);
  };
  const undo: (() => void)[] = [];
  const replace = (holder: object, name: string, what: string) => {
    const original = Object.getOwnPropertyDescriptor(holder, name);
    Object.defineProperty(holder, name, { value: touch(what), configurable: true, writable: true });
    undo.push(() => {
      if (original === undefined) Reflect.deleteProperty(holder, name);
      else Object.defineProperty(holder, name, original);
    });
  };
  replace(Date, 'now', 'Date.now');
  replace(Math, 'random', 'Math.random');
  replace(performance, 'now', 'performance.now');
  replace(crypto, 'randomUUID', 'crypto.randomUUID');
  replace(crypto, 'getRandomValues', 'crypto.getRandomValues');
  for (const name of TIMERS) replace(globalThis, name, name);
  const RealDate = Date;
  const trapped = new Proxy(RealDate, {
    construct(target, args, newTarget) {
      if (args.length === 0) touch('new Date')();
      return Reflect.construct(target, args, newTarget) as object;
    },
  });
  globalThis.Date = trapped;
  return () => {
    globalThis.Date = RealDate;
    for (const step of undo.reverse()) step();
  };
}
