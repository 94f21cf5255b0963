import process from 'node:process'

export function leave(): never {
  process.exit(1) // <- lint/nursery/noProcessExit
  throw new Error(process.version)
}
