/** @module Which workspace the user means: an id, the beginning of one, or a name. */
import { CliFailure, EXIT, usageFailure } from '../failure.ts'
import { printableLine } from '../terminal/printable.ts'
import { listWorkspaces, type WorkspaceApi, type WorkspaceRow } from './workspace.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const ID_PREFIX = /^[0-9a-f][0-9a-f-]{3,}$/i

/**
 * The one row that `reference` names: an exact name first, then the beginning (at least four
 * characters) of an id. Throws exit 3 when there is none and exit 2 when there are several.
 */
export function chooseWorkspace(rows: readonly WorkspaceRow[], reference: string): WorkspaceRow {
  const named = rows.filter((row) => row.name === reference)
  const prefix = reference.toLowerCase()
  const prefixed = ID_PREFIX.test(reference)
    ? rows.filter((row) => row.id.toLowerCase().startsWith(prefix))
    : []
  const found = named.length > 0 ? named : prefixed
  const [first] = found
  const shown = printableLine(reference)
  if (first === undefined) {
    throw new CliFailure(EXIT.notFound, `no workspace is called ${shown}`, {
      hint: '`atrium workspaces ls` lists them',
    })
  }
  if (found.length > 1) {
    const ids = found.map((row) => row.id).join(', ')
    throw usageFailure(`${shown} names ${found.length} workspaces; use an id: ${ids}`)
  }
  return first
}

/** The id of the workspace that `reference` names. A full id costs no request and needs no admin. */
export async function resolveWorkspaceId(api: WorkspaceApi, reference: string): Promise<string> {
  if (UUID.test(reference)) return reference.toLowerCase()
  let rows: WorkspaceRow[]
  try {
    rows = await listWorkspaces(api)
  } catch (thrown) {
    if (!(thrown instanceof CliFailure) || thrown.exitCode !== EXIT.auth) throw thrown
    throw new CliFailure(EXIT.auth, 'looking up a workspace by name needs ADMIN_TOKEN', {
      ...thrown.facts,
      hint: 'set ADMIN_TOKEN in the environment, or use the full id of the workspace',
    })
  }
  return chooseWorkspace(rows, reference).id
}
