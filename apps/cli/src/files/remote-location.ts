/** @module `<workspace>:<path>` on a command line, as `scp` writes it. */
import { workspacePathOf } from '../a2a/file-part.ts'
import { usageFailure } from '../failure.ts'

const DEFAULT_FOLDER = '/workspace'

export type RemoteLocation = {
  /** Id, beginning of an id, or name. */
  readonly workspace: string
  /** As it was written; empty for the place one begins at. */
  readonly path: string
}

/**
 * The first colon separates: paths have colons more often than names do, and the answer must not
 * depend on which workspaces there are. A workspace whose name has one is named by its id. Without a
 * colon all of it is the workspace. Throws a usage failure when no workspace is named.
 */
export function parseRemoteLocation(text: string): RemoteLocation {
  const colon = text.indexOf(':')
  const workspace = colon < 0 ? text : text.slice(0, colon)
  if (workspace === '') {
    throw usageFailure('no workspace is named', 'write <workspace>:<path>, such as hello:report.md')
  }
  return { workspace, path: colon < 0 ? '' : text.slice(colon + 1) }
}

/** Empty and `.` segments are nothing anywhere. `..` stays: what it means depends on links. */
function meaningfulSegments(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '' && segment !== '.')
}

/** The absolute path that is meant: `/workspace` is where relative ones begin; uris are welcome. */
export function absolutePathOf(path: string): string {
  const absolute = workspacePathOf(path) ?? `${DEFAULT_FOLDER}/${path}`
  return `/${meaningfulSegments(absolute).join('/')}`
}

/**
 * The path in a session's folder, `.` for the folder. The platform trims what it is sent and refuses
 * a leading `~`, so names like that are wrapped. Throws a usage failure for an absolute path.
 */
export function sessionRelativePathOf(path: string): string {
  if (path.startsWith('/')) {
    throw usageFailure(
      'with --session the path is relative to the folder of the session',
      'leave out the first slash, or leave out --session',
    )
  }
  const inside = meaningfulSegments(path).join('/')
  if (inside === '') return '.'
  return inside.startsWith('~') || inside !== inside.trim() ? `./${inside}/` : inside
}

/** The last name in a path; undefined when it has none, as `..` and `.` are no names. */
export function lastName(path: string): string | undefined {
  const name = meaningfulSegments(path).at(-1)
  return name === undefined || name === '..' ? undefined : name
}
