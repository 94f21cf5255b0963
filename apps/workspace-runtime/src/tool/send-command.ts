/** @module `send` and `task`: a message to a peer, and what came of it. */
import { findPeer } from './find-peer.ts'
import type { PlatformReply } from './platform-api.ts'
import { refusalOf } from './refusal.ts'
import { hasFailed, isOpen, type Reply, readReply } from './reply.ts'
import type { ToolContext } from './tool-context.ts'
import { EXIT, type ExitCode } from './tool-failure.ts'

const FIRST_POLL_MS = 500
const SLOWEST_POLL_MS = 5_000

export async function send(context: ToolContext): Promise<ExitCode> {
  const { args, settings, api, ids, key } = context
  const [name = '', operand = ''] = args.operands
  const text = await context.textOf(operand)
  const peer = await findPeer(api, settings.workspaceId, name)
  const contextId = args.contextId === undefined ? {} : { contextId: args.contextId }
  const parent = settings.taskId === undefined ? {} : { parent_task_id: settings.taskId }
  const message = {
    kind: 'message',
    messageId: key,
    role: 'user',
    parts: [{ kind: 'text', text }],
    ...contextId,
  }
  const metadata = { source_workspace_id: settings.workspaceId, ...parent }
  const answer = await api.call({
    method: 'POST',
    path: a2aPath(peer),
    json: rpc(ids.uuid(), 'message/send', { message, metadata }),
    headers: { 'idempotency-key': key },
    // The platform knows the key: what was done is answered again and not done again.
    isRepeatable: true,
  })
  return finish(context, peer, await settled(context, peer, replyOf(answer)))
}

export async function task(context: ToolContext): Promise<ExitCode> {
  const { args, settings, api } = context
  const [name = '', id = ''] = args.operands
  const peer = await findPeer(api, settings.workspaceId, name)
  return finish(context, peer, await settled(context, peer, await readTask(context, peer, id)))
}

/** The answer, as soon as there is one; what is still open with --no-wait. */
async function settled(context: ToolContext, peer: string, first: Reply): Promise<Reply> {
  let reply = first
  for (let waitMs = FIRST_POLL_MS; context.args.waits && isOpen(reply); waitMs *= 2) {
    if (reply.taskId === undefined) return reply
    await context.api.pause(Math.min(waitMs, SLOWEST_POLL_MS))
    reply = await readTask(context, peer, reply.taskId)
  }
  return reply
}

async function readTask({ api, ids }: ToolContext, peer: string, id: string): Promise<Reply> {
  const json = rpc(ids.uuid(), 'tasks/get', { id })
  return replyOf(await api.call({ method: 'POST', path: a2aPath(peer), json, isRepeatable: true }))
}

function finish(context: ToolContext, peer: string, reply: Reply): ExitCode {
  const { state, text, files, taskId, contextId } = reply
  const isPending = isOpen(reply)
  const lines = [
    ...(text === '' ? [] : [text]),
    ...files.map(({ name, uri }) => `[file ${name}: ${uri}]`),
    ...(isPending ? [`${state}: atrium-agent task ${peer} ${taskId ?? ''}`] : []),
  ]
  context.say(lines.join('\n'), {
    peer,
    state,
    text,
    files,
    ...(taskId === undefined ? {} : { task_id: taskId }),
    ...(contextId === undefined ? {} : { context_id: contextId }),
  })
  if (isPending) return EXIT.pending
  return hasFailed(reply) ? EXIT.failed : EXIT.done
}

function replyOf(answer: PlatformReply): Reply {
  const read = readReply(answer.body)
  if (!read.ok) throw refusalOf(answer)
  return read.reply
}

function a2aPath(workspaceId: string): string {
  return `/workspaces/${encodeURIComponent(workspaceId)}/a2a`
}

function rpc(id: string, method: string, params: object): object {
  return { jsonrpc: '2.0', id, method, params }
}
