/** @module Workspaces of the shared platform, over HTTP; their boxes are nobody's. */
import { beforeEach, expect } from 'vitest'
import { platform, sharePlatform } from './shared-platform.ts'

/** Every test of the calling file finds boxes that start and stop as they should. */
export function provideWorkspacesApi(): void {
  sharePlatform()
  beforeEach(() => {
    platform.provisioner.endpoint = () => 'http://127.0.0.1:9'
    platform.provisioner.failStop = false
  })
}

export type Row = {
  id: string
  status: string
  status_reason: string | null
  [key: string]: unknown
}

/** Expects the creation to succeed. */
export async function create(fields: Record<string, unknown>): Promise<Row> {
  const answer = await platform.json('/workspaces', fields)
  expect(answer.status).toBe(201)
  return (await answer.json()) as Row
}

/** What an operator sees of it. */
export async function read(id: string): Promise<Row> {
  return (await (await platform.request(`/workspaces/${id}`)).json()) as Row
}

/** Asks for its removal; the query begins with a question mark. */
export const remove = (id: string, query = '') =>
  platform.request(`/workspaces/${id}${query}`, { method: 'DELETE' })
