/** @module What the texts of a workspace may contain, at its creation and at every change (7.1). */
import { z } from 'zod'

/** Contract/platform 7.1: no line break and none of these, which config.yaml would read as syntax. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const FORBIDDEN_IN_NAMES = /[\u0000-\u001f\u007f{}[\]|>*&!]/

/** The largest number that a column of type `integer` takes. */
export const INT4_MAX = 2_147_483_647

export const workspaceName = z.string().min(1).max(255).refine(isPlain)
export const workspaceRole = z.string().max(1000).refine(isPlain)

/** A model or a kind of runtime. */
export const workspaceLabel = z
  .string()
  .max(100)
  .regex(/^[^\r\n\0]*$/)

function isPlain(text: string): boolean {
  return !FORBIDDEN_IN_NAMES.test(text) && text.isWellFormed()
}
