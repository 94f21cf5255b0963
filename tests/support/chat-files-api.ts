/** @module The file routes of a platform, to and from the boxed workspace of each test. */
import { afterEach } from 'vitest'
import { provideBoxedWorkspace, workspace } from './boxed-workspace.ts'
import { platform } from './shared-platform.ts'

/** Every test of the calling file finds a workspace, which is gone after it. */
export function provideChatFiles(): void {
  provideBoxedWorkspace({
    ATRIUM_IDLE_TIMEOUT_MS: '10000',
    ATRIUM_HEADERS_TIMEOUT_MS: '3000',
  })
  afterEach(async () => {
    await platform.request(`/workspaces/${workspace.id}?confirm=true&purge=true`, {
      method: 'DELETE',
    })
  })
}

/** A form of one file. */
export function formWith(name: string, content: string): FormData {
  const form = new FormData()
  form.append('files', new Blob([content]), name)
  return form
}

/** Uploads a small file unless `init` says otherwise. */
export const upload = (id: string, init: RequestInit & { as?: string | null } = {}) =>
  platform.request(`/workspaces/${id}/chat/uploads`, {
    method: 'POST',
    body: formWith('a.txt', 'hello'),
    ...init,
  })

/** Asks for a path on the wire. */
export const download = (
  id: string,
  path: string,
  init: RequestInit & { as?: string | null } = {},
) => platform.request(`/workspaces/${id}/chat/download?path=${encodeURIComponent(path)}`, init)

/** The id of no workspace. */
export const UNKNOWN = '00000000-0000-4000-8000-000000000000'
