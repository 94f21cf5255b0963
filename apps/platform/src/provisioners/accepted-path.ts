/** @module Paths that the platform itself asks a back-end for, by the rule of the wire. */
import { AppError } from '@atrium/http-kit/app-error'
import { parseWorkspacePath, type WorkspacePath } from '@atrium/path-safety/workspace-path'

/** Throws AppError with the code of the refusal. */
export function acceptedPath(text: string): WorkspacePath {
  const verdict = parseWorkspacePath([text])
  if (!verdict.ok) throw new AppError(verdict.code)
  return verdict.path
}
