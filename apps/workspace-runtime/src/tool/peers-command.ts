/** @module `peers`: who is there. */
import { listPeers } from './find-peer.ts'
import type { ToolContext } from './tool-context.ts'
import { EXIT, type ExitCode } from './tool-failure.ts'

export async function peers({ args, settings, api, say }: ToolContext): Promise<ExitCode> {
  const found = await listPeers(api, settings.workspaceId, args.query)
  // Contract/runtime 9.3.
  const lines = found.map(({ id, name, role, status }) => {
    const line = `- ${name} (ID: ${id}, status: ${status}, role: ${role ?? ''})`
    return line.replaceAll('\n', ' ')
  })
  const json = found.map(({ id, name, role, status }) => ({ id, name, role: role ?? '', status }))
  say(lines.length === 0 ? 'no peers' : lines.join('\n'), json)
  return EXIT.done
}
