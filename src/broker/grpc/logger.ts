/** What the endpoint needs of a logger; pino has it. */
export interface EndpointLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const SILENT_LOGGER: EndpointLogger = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
