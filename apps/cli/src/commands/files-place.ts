/** @module What `atrium files` is asked about: the workspace is looked up, the path is written out. */
import { isSessionId } from '@atrium/path-safety/session-path'
import type { CommandContext } from '../command-context.ts'
import { usageFailure } from '../failure.ts'
import {
  absolutePathOf,
  parseRemoteLocation,
  sessionRelativePathOf,
} from '../files/remote-location.ts'
import type { InspectedPlace } from '../platform/inspected-files.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'

export type PlaceOptions = { readonly session?: string }

/** Throws a usage failure for what cannot be asked, before anything is asked. */
export async function findPlace(
  context: CommandContext,
  location: string,
  { session }: PlaceOptions,
): Promise<InspectedPlace> {
  const { workspace, path: written } = parseRemoteLocation(location)
  if (session !== undefined && !isSessionId(session)) {
    throw usageFailure('--session wants the id of a session: seven digits of lower-case hex')
  }
  const path = session === undefined ? absolutePathOf(written) : sessionRelativePathOf(written)
  return { workspaceId: await resolveWorkspaceId(context, workspace), session, path }
}
