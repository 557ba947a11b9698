/** JSON lines on standard error, one per decision; never bodies of messages. */
import { type Logger, pino } from 'pino';

export type { Logger };

export function createLogger(level: string, fields: Readonly<Record<string, string>>): Logger {
  const options = {
    level,
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, pino.destination({ fd: 2, sync: true }));
}
