/**
 * Ends this process at once with an exit code, from any thread and whatever the others do.
 *
 * `process.exit` waits for every worker thread, so one that hangs in a system call keeps the process
 * alive for as long as the disk hangs; and in a worker it ends the worker only. The one documented way of
 * Node around both is a WASI program that exits: with `returnOnExit: false` that is the C library's exit.
 * Should it ever be missing, the process kills itself, and only the exit code is lost.
 *
 * Even that exit may hang: it waits for Node's thread pool, where a call may hang in the same disk. Then
 * the watchdog (process-watchdog.ts), to which the end was announced, ends the process by SIGKILL.
 */
import { createRequire } from 'node:module';
import type { WASI } from 'node:wasi';

const EXIT_CODE_MAX = 127;

/** Part of the language's surroundings, but not of the types of Node. */
interface WasmGlobals {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object, imports: object) => object;
  };
}

/**
 * (module
 *   (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
 *   (memory (export "memory") 1)
 *   (func (export "_start") i32.const CODE  call 0))
 */
function programThatExits(code: number): Uint8Array {
  const text = (word: string): readonly number[] => [word.length, ...Buffer.from(word)];
  const section = (id: number, ...body: readonly number[]): readonly number[] => {
    return [id, body.length, ...body];
  };
  // A signed number of 7 bits per byte: two bytes hold every exit code.
  const leb = [(code & 0x7f) | 0x80, code >> 7];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, 2, 0x60, 1, 0x7f, 0, 0x60, 0, 0),
    ...section(2, 1, ...text('wasi_snapshot_preview1'), ...text('proc_exit'), 0, 0),
    ...section(3, 1, 1),
    ...section(5, 1, 0, 1),
    ...section(7, 2, ...text('memory'), 2, 0, ...text('_start'), 0, 1),
    ...section(10, 1, 4 + leb.length + 1, 0, 0x41, ...leb, 0x10, 0, 0x0b),
  ]);
}

export function endProcess(code: number): never {
  try {
    if (!Number.isInteger(code) || code < 0 || code > EXIT_CODE_MAX) {
      throw new RangeError(`${code} is no exit code`);
    }
    // Loaded only now: the module announces that it is experimental.
    const wasi: { WASI: typeof WASI } = createRequire(import.meta.url)('node:wasi');
    const program = new wasi.WASI({ version: 'preview1', returnOnExit: false });
    const { Module, Instance } = (globalThis as unknown as WasmGlobals).WebAssembly;
    const module = new Module(programThatExits(code));
    program.start(new Instance(module, program.getImportObject()));
  } finally {
    // Whatever has gone wrong: a process that must end does not go on.
    killProcess();
  }
}

/**
 * Where threads hang in the disk: an exit with a code waits for some of those, and pulls the ground from
 * under others, which then dump core.
 */
export function killProcess(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('The process outlived SIGKILL');
}
