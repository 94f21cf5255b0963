/**
 * @module What a workspace says about its files (contract/runtime 20). Nothing here is believed:
 * names may not be paths, pages and windows have to move on, and one file has to stay one file.
 */
import {
  ENTRY_TYPES,
  MAX_CONTENT_BYTES,
  MAX_LIST_ENTRIES,
  MAX_PREVIEW_BYTES,
} from '@atrium/runtime-contract/file-inspection'
import { z } from 'zod'
import { CliFailure, EXIT } from '../failure.ts'
import { type RetryContext, withRetries } from '../http/retry.ts'
import type { WorkspaceApi } from './workspace.ts'

/** Where something is: in a workspace, or in the folder of one of its sessions. */
export type InspectedPlace = {
  readonly workspaceId: string
  readonly session: string | undefined
  readonly path: string
}

export type InspectContext = WorkspaceApi & RetryContext

const MAX_NAME_BYTES = 255
/** Longest time that a `Date` can say, in seconds. */
const MAX_SECONDS = 8_640_000_000_000

function isNameOfOne(bytes: Buffer): boolean {
  const text = bytes.toString('latin1')
  return bytes.length > 0 && !/[/\0]/.test(text) && text !== '.' && text !== '..'
}

const count = z.int().nonnegative()

/** Not zod's own, which repeats a group: millions of times, for a window. */
const base64 = (maxBytes: number) =>
  z
    .string()
    .max(4 * Math.ceil(maxBytes / 3))
    .refine((text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text))

const folderEntry = z
  .object({
    name: z.string().min(1).max(MAX_NAME_BYTES),
    name_base64: base64(MAX_NAME_BYTES).optional(),
    type: z.enum(ENTRY_TYPES),
    size: count,
    mtime: z.int().min(-MAX_SECONDS).max(MAX_SECONDS),
    mode: z.int().min(0).max(0o7777),
  })
  .refine((entry) => isNameOfOne(nameBytesOf(entry)))
export type InspectedEntry = z.infer<typeof folderEntry>

const folderPage = z.object({
  entries: z.array(folderEntry).max(MAX_LIST_ENTRIES),
  truncated: z.boolean(),
  next_cursor: z.string().min(1).max(2048).nullable(),
})
export type InspectedPage = z.infer<typeof folderPage>

const filePreview = z.object({
  path: z.string(),
  size: count,
  offset: count,
  next_offset: count,
  truncated: z.boolean(),
  binary: z.boolean(),
  encoding: z.string().max(32).nullable(),
  text: z.string().max(MAX_PREVIEW_BYTES).nullable(),
  lines: count.nullable(),
  version: z.string().max(256),
})
export type InspectedPreview = z.infer<typeof filePreview>

const fileContent = z.object({
  size: count,
  offset: count,
  content_base64: base64(MAX_CONTENT_BYTES),
  version: z.string().min(1).max(256),
})

/** The bytes that an entry is called by, which are not always text. */
export function nameBytesOf(entry: {
  readonly name: string
  readonly name_base64?: string | undefined
}): Buffer {
  return entry.name_base64 === undefined
    ? Buffer.from(entry.name)
    : Buffer.from(entry.name_base64, 'base64')
}

/** The segments of the routes below a workspace. */
export function filesRoute({ session }: InspectedPlace): readonly string[] {
  return session === undefined ? ['files'] : ['sessions', session, 'files']
}

type Question = { readonly route: readonly string[]; readonly query: Record<string, string> }

async function ask<T>(
  context: InspectContext,
  place: InspectedPlace,
  { route, query, schema }: Question & { readonly schema: z.ZodType<T> },
): Promise<T> {
  const bearer = await context.credentials.forWorkspace(place.workspaceId)
  const segments = ['workspaces', place.workspaceId, ...filesRoute(place), ...route]
  const answer = await withRetries(context, () =>
    context.client.json({
      method: 'GET',
      segments,
      query: { path: place.path, ...query },
      bearer,
    }),
  )
  const parsed = schema.safeParse(answer)
  if (parsed.success) return parsed.data
  throw new CliFailure(EXIT.failed, 'the workspace answered with something unexpected')
}

/** One page of a folder, behind `cursor` when there is one. */
export function listFolder(
  context: InspectContext,
  place: InspectedPlace,
  page: { readonly limit: number; readonly cursor: string | undefined },
): Promise<InspectedPage> {
  const cursor = page.cursor === undefined ? {} : { cursor: page.cursor }
  const query = { limit: String(page.limit), ...cursor }
  return ask(context, place, { route: [], query, schema: folderPage })
}

/** A window of a file as text: from `offset` on, or its last `tail` bytes. */
export function previewFile(
  context: InspectContext,
  place: InspectedPlace,
  window: { readonly offset: number; readonly limit: number } | { readonly tail: number },
): Promise<InspectedPreview> {
  const query = Object.fromEntries(
    Object.entries(window).map(([name, value]) => [name, String(value)]),
  )
  return ask(context, place, { route: ['preview'], query, schema: filePreview })
}

export type ContentWindow = {
  readonly size: number
  readonly offset: number
  readonly bytes: Buffer
  readonly version: string
}

/** A window of a file in a session's folder, as its bytes. */
export async function readContent(
  context: InspectContext,
  place: InspectedPlace,
  offset: number,
): Promise<ContentWindow> {
  const query = { offset: String(offset) }
  const answer = await ask(context, place, { route: ['download'], query, schema: fileContent })
  const bytes = Buffer.from(answer.content_base64, 'base64')
  return { size: answer.size, offset: answer.offset, version: answer.version, bytes }
}
