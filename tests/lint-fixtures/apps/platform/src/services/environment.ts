import process from 'node:process'

export function names(): string[] {
  const names = [process.version]
  names.push(...Object.keys(process.env)) // <- lint/style/noProcessEnv
  return names
}
