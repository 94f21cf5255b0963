/** @module The agent that says what it was told and gives back the files it was given. */
import {
  type AgentAdapter,
  AgentFailure,
  COMPLETED,
  type ReplySink,
  type Turn,
  type TurnEnd,
} from './agent-adapter.ts'

/** For trying out a workspace without a model behind it. */
export class EchoAdapter implements AgentAdapter {
  readonly name = 'echo'

  async start(): Promise<void> {
    // Nothing to make ready.
  }

  async execute(turn: Turn, reply: ReplySink, signal: AbortSignal): Promise<TurnEnd> {
    signal.throwIfAborted()
    if (turn.text !== '') reply.text(turn.text)
    for (const { name, mimeType, uri } of turn.attachments) {
      if (uri === undefined) {
        throw new AgentFailure(`attachment "${name}": upload it and refer to it by its uri`)
      }
      reply.file({ name, mimeType, uri })
    }
    return COMPLETED
  }

  async stop(): Promise<void> {
    // Nothing was taken.
  }

  killAll(): void {
    // Nothing runs outside.
  }
}
