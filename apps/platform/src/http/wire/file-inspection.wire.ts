/**
 * @module JSON shapes of the inspector's answers, for the reference. They are made where the files
 * are and pass through as they come; nothing here is parsed.
 */
import {
  ENTRY_TYPES,
  type FileContent,
  type FilePreview,
  type FolderPage,
} from '@atrium/runtime-contract/file-inspection'
import { z } from 'zod'

const folderEntry = z
  .object({
    name: z.string(),
    name_base64: z
      .string()
      .exactOptional()
      .describe('Only of a name that is not UTF-8; `name` has U+FFFD in its place.'),
    type: z.enum(ENTRY_TYPES).describe('Of the entry itself: links are not followed.'),
    size: z.int(),
    mtime: z.int().describe('Whole seconds since 1970.'),
    mode: z.int().describe('Permission bits.'),
  })
  .meta({ id: 'FolderEntry' })

export const folderPage = z.object({
  path: z.string(),
  entries: z.array(folderEntry).readonly(),
  truncated: z.boolean().describe('Whether there are more behind the last of these.'),
  next_cursor: z.string().nullable(),
}) satisfies z.ZodType<FolderPage>

export const filePreview = z.object({
  path: z.string(),
  size: z.int().describe('Bytes of the whole file.'),
  offset: z.int().describe('Where what is shown begins, in bytes.'),
  next_offset: z.int().describe('Where it ends.'),
  truncated: z.boolean().describe('Whether anything of the file is not shown, before or behind.'),
  binary: z.boolean(),
  encoding: z.enum(['utf-8', 'utf-16le', 'utf-16be']).nullable(),
  text: z.string().nullable(),
  lines: z.int().nullable().describe('Lines in `text`; one without an end counts.'),
  version: z.string().describe('Another one means another or a changed file.'),
}) satisfies z.ZodType<FilePreview>

export const fileContent = z.object({
  path: z.string(),
  size: z.int().describe('Bytes of the whole file.'),
  offset: z.int().describe('Where the content begins, in bytes.'),
  truncated: z.boolean().describe('Whether there is more behind it.'),
  content_base64: z.string(),
  version: z.string().describe('Another one means another or a changed file.'),
}) satisfies z.ZodType<FileContent>
