import { a } from './cycle-a.ts' // ! lint/suspicious/noImportCycles

export const b = (): number => a() + 1
