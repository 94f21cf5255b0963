/**
 * @module What a command says beside its answer: one JSON object a line on descriptor 3
 * (docs/guides/exec-adapter.md). What is not understood is logged and passed over.
 */
import { StringDecoder } from 'node:string_decoder'
import type { Logger } from 'pino'
import { z } from 'zod'
import { COMPLETED, type ReplySink, type TurnEnd } from '../agent-adapter.ts'

const MAX_LINE_CHARACTERS = 256 * 1024
/** Each is an event of the task, and the SDK copies the whole task for it. */
const MAX_EVENTS = 2_000
const MAX_TEXT = 16_000

const words = z.string().min(1).max(MAX_TEXT)
const event = z.union([
  z.object({ progress: words }),
  z.object({
    artifact: z
      .object({
        id: z.string().min(1).max(200),
        name: z.string().max(200).optional(),
        text: z.string().optional(),
        // The SDK would lose a null.
        data: z
          .json()
          .optional()
          .refine((data) => data !== null),
        append: z.boolean().default(false),
        last: z.boolean().default(false),
      })
      .refine(({ text, data }) => text !== undefined || data !== undefined),
  }),
  z.object({ input_required: words }),
  z.object({ auth_required: words }),
  z.object({ rejected: words }),
])
type CommandEvent = z.infer<typeof event>

export class CommandEvents {
  readonly #reply: ReplySink
  readonly #log: Logger
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''
  #isCut = false
  #count = 0
  #end: TurnEnd = COMPLETED

  constructor(reply: ReplySink, log: Logger) {
    this.#reply = reply
    this.#log = log
  }

  /** How the command said that it ends; `completed` when it did not say. */
  get turnEnd(): TurnEnd {
    return this.#end
  }

  write(bytes: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#take(line)
    if (this.#rest.length <= MAX_LINE_CHARACTERS) return
    // A line without an end must not fill the memory; the rest of it is passed over as well.
    this.#rest = ''
    this.#isCut = true
  }

  end(): void {
    this.#take(this.#rest + this.#decoder.end())
    this.#rest = ''
  }

  #take(line: string): void {
    const isCut = this.#isCut
    this.#isCut = false
    if (!isCut && line.trim() === '') return
    this.#count += 1
    if (this.#count > MAX_EVENTS) return
    const parsed = event.safeParse(isCut ? undefined : jsonOf(line))
    if (parsed.success) this.#tell(parsed.data)
    else this.#log.warn({ characters: line.length }, 'exec.event_not_understood')
  }

  #tell(said: CommandEvent): void {
    if ('progress' in said) this.#reply.progress(said.progress)
    else if ('artifact' in said) this.#tellArtifact(said.artifact)
    else if ('input_required' in said) {
      this.#end = { state: 'input-required', text: said.input_required }
    } else if ('auth_required' in said) {
      this.#end = { state: 'auth-required', text: said.auth_required }
    } else this.#end = { state: 'rejected', text: said.rejected }
  }

  #tellArtifact(artifact: Extract<CommandEvent, { artifact: unknown }>['artifact']): void {
    const { id, name, text, data, append, last } = artifact
    this.#reply.artifact({
      id,
      name: name ?? id,
      parts: [
        ...(text === undefined ? [] : [{ kind: 'text', text } as const]),
        ...(data === undefined ? [] : [{ kind: 'data', data } as const]),
      ],
      isAppended: append,
      isLast: last,
    })
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // The schema says that it is none.
    return undefined
  }
}
