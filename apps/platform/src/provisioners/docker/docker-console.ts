/**
 * @module A box's console. The engine forgets a container's output when the container is removed, so
 * its end is kept in a volume that the runtime can read and not write: owned by root, and a box has
 * no root.
 */
import type { Container } from 'dockerode'
import { z } from 'zod'
import { putFiles, readFileIn } from './box-archive.ts'
import { VOLUME_PLACES } from './box-names.ts'
import type { Engine } from './engine.ts'
import { unlessMissing } from './engine.ts'
import { LastBytes } from './last-bytes.ts'

const KEPT_BYTES = 256 * 1024
const FILE_NAME = 'console.log'
const ROOT = { uid: 0, gid: 0 } as const

/** Eight bytes before each piece: the stream, three zeros, the length (Engine API, "Stream format"). */
const FRAME_HEADER_BYTES = 8
/** Shorter lines than this on average, and less than `maxBytes` is returned. */
const BYTES_PER_LINE = 16
const MIN_LINES = 64

const bytesStream = z.custom<AsyncIterable<Buffer>>(
  (value) => typeof value === 'object' && value !== null && Symbol.asyncIterator in value,
)

/** The end of what one container has said on both streams, at most `maxBytes`. */
export async function containerOutput(
  engine: Engine,
  container: Container,
  maxBytes: number,
): Promise<Buffer> {
  const lines = Math.max(MIN_LINES, Math.ceil(maxBytes / BYTES_PER_LINE))
  // The library reads an answer that does not follow whole into memory; this one is hostile.
  const stream = await unlessMissing(dialLogs(engine, container.id, lines))
  const last = new LastBytes(maxBytes)
  if (stream !== undefined) await unframe(stream, last)
  return last.take()
}

async function dialLogs(
  engine: Engine,
  containerId: string,
  tail: number,
): Promise<AsyncIterable<Buffer>> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  engine.calls.modem.dial(
    {
      path: `/containers/${containerId}/logs?`,
      method: 'GET',
      options: { stdout: true, stderr: true, follow: false, tail },
      isStream: true,
      statusCodes: { 200: true, 404: 'no such container', 500: 'server error' },
    },
    (error: unknown, response: unknown) => (error ? reject(error) : resolve(response)),
  )
  return bytesStream.parse(await promise)
}

async function unframe(stream: AsyncIterable<Buffer>, into: LastBytes): Promise<void> {
  let header = Buffer.alloc(0)
  let missing = 0
  for await (const chunk of stream) {
    for (let rest: Buffer = chunk; rest.length > 0; ) {
      if (missing === 0) {
        const wanted = FRAME_HEADER_BYTES - header.length
        header = Buffer.concat([header, rest.subarray(0, wanted)])
        rest = rest.subarray(wanted)
        if (header.length < FRAME_HEADER_BYTES) continue
        missing = header.readUInt32BE(4)
        header = Buffer.alloc(0)
      }
      const piece = rest.subarray(0, missing)
      into.add(piece)
      missing -= piece.length
      rest = rest.subarray(piece.length)
    }
  }
}

/** What earlier containers of the workspace said last; `container` has their console volume. */
export async function keptConsole(container: Container): Promise<Buffer> {
  const path = `${VOLUME_PLACES.console}/${FILE_NAME}`
  return (await readFileIn(container, path, KEPT_BYTES)) ?? Buffer.alloc(0)
}

/** Adds a container's last words to what is kept, before it is removed. */
export async function keepConsole(engine: Engine, container: Container): Promise<void> {
  const last = new LastBytes(KEPT_BYTES)
  last.add(await keptConsole(container))
  last.add(await containerOutput(engine, container, KEPT_BYTES))
  await putFiles(container, VOLUME_PLACES.console, {
    files: [{ path: FILE_NAME, content: last.take(), mode: 0o644 }],
    owner: ROOT,
  })
}
