/** @module Why the platform did not do what it was asked. */
import type { PlatformReply } from './platform-api.ts'
import { readReply } from './reply.ts'
import { EXIT, type ExitCode, ToolFailure } from './tool-failure.ts'

const EXITS: Readonly<Record<number, ExitCode>> = {
  403: EXIT.notFound,
  404: EXIT.notFound,
  429: EXIT.unreachable,
  502: EXIT.unreachable,
  503: EXIT.unreachable,
  504: EXIT.unreachable,
}

export function refusalOf(reply: PlatformReply): ToolFailure {
  const read = readReply(reply.body)
  const reason = read.ok ? 'unexpected answer' : read.reason
  return new ToolFailure(EXITS[reply.status] ?? EXIT.failed, `${reason} (HTTP ${reply.status})`)
}
