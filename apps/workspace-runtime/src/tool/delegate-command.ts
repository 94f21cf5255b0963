/** @module `delegate`: hands a task to a peer without waiting for it (contract/platform 4.10). */
import { z } from 'zod'
import { findPeer } from './find-peer.ts'
import { refusalOf } from './refusal.ts'
import type { ToolContext } from './tool-context.ts'
import { EXIT, type ExitCode, ToolFailure } from './tool-failure.ts'

const SHOWN = 10

const delegated = z.looseObject({
  delegation_id: z.string(),
  status: z.string(),
  warning: z.string().optional(),
})
const delegation = z.looseObject({
  delegation_id: z.string(),
  status: z.string().nullish(),
  response_preview: z.string().nullish(),
  error: z.string().nullish(),
})
const delegations = z.array(delegation)

export function delegate(context: ToolContext): Promise<ExitCode> {
  return context.args.isStatus ? tellStatus(context) : handOver(context)
}

async function handOver(context: ToolContext): Promise<ExitCode> {
  const { args, settings, api, key, say } = context
  const [name = '', operand = ''] = args.operands
  const task = await context.textOf(operand)
  const target = await findPeer(api, settings.workspaceId, name)
  const reply = await api.call({
    method: 'POST',
    path: `${own(context)}/delegate`,
    json: { target_id: target, task, idempotency_key: key },
    isRepeatable: true,
  })
  const parsed = delegated.safeParse(reply.body)
  if (reply.status >= 300 || !parsed.success) throw refusalOf(reply)
  const { delegation_id, status, warning } = parsed.data
  const lines = [`${status}: ${delegation_id}`, ...(warning === undefined ? [] : [warning])]
  say(lines.join('\n'), { delegation_id, status, peer: target, warning })
  return EXIT.done
}

async function tellStatus(context: ToolContext): Promise<ExitCode> {
  const { args, api, say } = context
  const path = `${own(context)}/delegations`
  const reply = await api.call({ method: 'GET', path, isRepeatable: true })
  const parsed = delegations.safeParse(reply.body)
  if (reply.status !== 200 || !parsed.success) throw refusalOf(reply)
  const [id] = args.operands
  const rows = parsed.data.filter(({ delegation_id }) => id === undefined || delegation_id === id)
  if (rows.length === 0 && id !== undefined) {
    throw new ToolFailure(EXIT.notFound, `no delegation ${id}`)
  }
  const shown = rows.slice(0, SHOWN)
  const lines = shown.map((row) => {
    const said = row.error ?? row.response_preview ?? ''
    return `${row.delegation_id} ${row.status ?? ''} ${said}`.trimEnd()
  })
  say(lines.length === 0 ? 'no delegations' : lines.join('\n'), shown)
  return EXIT.done
}

function own({ settings }: ToolContext): string {
  return `/workspaces/${encodeURIComponent(settings.workspaceId)}`
}
