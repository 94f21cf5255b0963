/** @module What passes through to a workspace, as its reference says it; nothing here is parsed. */
import { z } from 'zod'

export const uploadResponse = z.object({
  files: z.array(
    z
      .object({
        uri: z.string().describe('`workspace:` and the absolute path; goes into messages.'),
        name: z.string(),
        mimeType: z.string(),
        size: z.int(),
        sha256: z.string().optional().describe('Lower-case hex; absent from older runtimes.'),
      })
      .meta({ id: 'StoredFile' }),
  ),
})

const rpcId = z.union([z.string(), z.number(), z.null()])

/** Completed where members are missing (contract/platform 4.3). */
export const rpcCall = z.looseObject({
  jsonrpc: z.literal('2.0').optional(),
  id: rpcId.optional(),
  method: z.string(),
  params: z.unknown().optional(),
})

export const rpcAnswer = z.union([
  z.looseObject({
    jsonrpc: z.literal('2.0'),
    id: rpcId,
    result: z.unknown().optional(),
    error: z
      .looseObject({ code: z.int(), message: z.string(), data: z.unknown().optional() })
      .optional(),
  }),
  z.object({ status: z.literal('queued'), delivery_mode: z.literal('poll'), method: z.string() }),
])
