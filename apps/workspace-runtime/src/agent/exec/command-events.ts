/**
 * @module What a command says beside its answer: one JSON object a line on descriptor 3
 * (docs/guides/exec-adapter.md). What is not understood is logged and passed over.
 */
import { StringDecoder } from 'node:string_decoder'
import type { Logger } from 'pino'
import { z } from 'zod'
import { COMPLETED, type ReplySink, type TurnEnd } from '../agent-adapter.ts'
import { isTooDeep } from '../nesting.ts'

const MAX_LINE_CHARACTERS = 256 * 1024
/** Each is an event of the task, and the SDK copies the whole task for it. */
const MAX_EVENTS = 2_000
/** Of all artifacts together, as they were written: they lie in the memory that every task shares. */
const MAX_ARTIFACT_CHARACTERS = 4 * 1024 * 1024
const MAX_LOGGED_LINES = 20
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
  #events = 0
  #artifactCharacters = 0
  #notUnderstood = 0
  #hasSaidTooMuch = false
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
    const parsed = event.safeParse(isCut ? undefined : jsonOf(line))
    if (parsed.success) this.#tell(parsed.data, line.length)
    else this.#pass(line.length)
  }

  #tell(said: CommandEvent, characters: number): void {
    // The end is heard however much was said before it: the task would be over instead of waiting.
    if ('input_required' in said) {
      this.#end = { state: 'input-required', text: said.input_required }
    } else if ('auth_required' in said) {
      this.#end = { state: 'auth-required', text: said.auth_required }
    } else if ('rejected' in said) {
      this.#end = { state: 'rejected', text: said.rejected }
    } else if (this.#hasRoomFor(said, characters)) {
      if ('progress' in said) this.#reply.progress(said.progress)
      else this.#tellArtifact(said.artifact)
    }
  }

  /** After the first that was too much nothing more is told: an artifact has no holes. */
  #hasRoomFor(said: CommandEvent, characters: number): boolean {
    this.#events += 1
    if ('artifact' in said) this.#artifactCharacters += characters
    const isTooMuch =
      this.#events > MAX_EVENTS || this.#artifactCharacters > MAX_ARTIFACT_CHARACTERS
    if (isTooMuch && !this.#hasSaidTooMuch) {
      this.#hasSaidTooMuch = true
      this.#log.warn({ events: this.#events }, 'exec.events_not_told_further')
    }
    return !this.#hasSaidTooMuch
  }

  #pass(characters: number): void {
    this.#notUnderstood += 1
    if (this.#notUnderstood > MAX_LOGGED_LINES) return
    this.#log.warn({ characters }, 'exec.event_not_understood')
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
    const said: unknown = JSON.parse(line)
    return isTooDeep(said) ? undefined : said
  } catch {
    // The schema says that it is none.
    return undefined
  }
}
