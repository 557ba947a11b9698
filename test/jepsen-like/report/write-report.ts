export function writeReport(_folder: string): void {}
