import { randomUUID } from 'node:crypto'

export const clock = { now: () => new Date(), uuid: () => randomUUID() }
