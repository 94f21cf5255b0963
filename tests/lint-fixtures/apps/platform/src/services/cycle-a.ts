import { b } from './cycle-b.ts' // ! lint/suspicious/noImportCycles

export const a = (): number => b() + 1
