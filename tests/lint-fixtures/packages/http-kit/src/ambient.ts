import { randomUUID } from 'node:crypto'

export function ambient(text: string): unknown[] {
  const values: unknown[] = [new Date(text), randomUUID]
  values.push(Date.now()) // <- plugin
  values.push(new Date()) // <- plugin
  values.push(Math.random()) // <- plugin
  values.push(randomUUID()) // <- plugin
  values.push(crypto.randomUUID()) // <- plugin
  return values
}
