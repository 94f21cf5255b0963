/** @module The request that carries one message to an agent (A2A 0.3, contract/a2a 1.2). */
import { type FileReference, filePart } from './file-part.ts'

export type OutgoingMessage = {
  readonly rpcId: string
  readonly messageId: string
  readonly text: string
  readonly files: readonly FileReference[]
  readonly contextId?: string | undefined
}

/**
 * The JSON-RPC body of `message/send` or `message/stream`. Sending the same body again is safe: the
 * message id is how a receiver recognises a repetition.
 */
export function sendMessageBody(
  message: OutgoingMessage,
  method: 'message/send' | 'message/stream',
) {
  return {
    jsonrpc: '2.0',
    id: message.rpcId,
    method,
    params: {
      message: {
        kind: 'message',
        role: 'user',
        messageId: message.messageId,
        ...(message.contextId === undefined ? {} : { contextId: message.contextId }),
        parts: [
          ...(message.text === '' ? [] : [{ kind: 'text', text: message.text }]),
          ...message.files.map(filePart),
        ],
      },
      configuration: { blocking: true, acceptedOutputModes: ['text/plain', '*/*'] },
    },
  } as const
}
