/** @module An agent of A2A 0.3 with tasks of its own, played by the box of the boxed workspace. */
import type { ServerResponse } from 'node:http'
import { box, workspace } from './boxed-workspace.ts'
import { platform } from './shared-platform.ts'

type Rpc = { id: unknown; method: string; params: Record<string, unknown> }

export type LegacyTask = {
  kind: 'task'
  id: string
  contextId: string
  status: { state: string; timestamp?: string }
  history?: unknown[]
  artifacts?: unknown[]
}

export class LegacyAgent {
  readonly tasks = new Map<string, LegacyTask>()
  /** Streams that are open, the oldest first. */
  readonly streams: ServerResponse[] = []
  readonly asked: Rpc[] = []
  #count = 0

  /** Has the box of the test at hand answer as this agent. */
  async play(): Promise<void> {
    box.answer = (request, response) => {
      const rpc = JSON.parse(request.body.toString()) as Rpc
      this.asked.push(rpc)
      this.#answer(rpc, response)
    }
    const card = JSON.stringify({ name: 'legacy', protocolVersion: '0.3.0', url: box.url })
    await platform.client.sql`
      UPDATE workspaces SET agent_card = ${card}::text::jsonb WHERE id = ${workspace.id}`
  }

  newTask(state = 'working', fields: Partial<LegacyTask> = {}): LegacyTask {
    this.#count += 1
    const timestamp = new Date(Date.now() - 60_000 + this.#count * 1_000).toISOString()
    const task: LegacyTask = {
      ...{ kind: 'task', id: `task-${this.#count}-${workspace.id}`, contextId: 'ctx' },
      status: { state, timestamp },
      history: [1, 2, 3].map((n) => ({
        ...{ kind: 'message', messageId: `h${n}`, role: 'user', parts: [] },
      })),
      artifacts: [{ artifactId: 'a', parts: [{ kind: 'text', text: 'x' }] }],
      ...fields,
    }
    this.tasks.set(task.id, task)
    return task
  }

  /** What the agent is to answer with next to a message. */
  next: () => LegacyTask = () => this.newTask()

  /** The data of one event, as the agent writes it. */
  frame(result: object): string {
    return `data: ${JSON.stringify({ jsonrpc: '2.0', id: 7, result })}\n\n`
  }

  status(task: LegacyTask, state: string, final = false): string {
    task.status = { state }
    const { id: taskId, contextId, status } = task
    return this.frame({ kind: 'status-update', taskId, contextId, status, final })
  }

  #answer({ id, method, params }: Rpc, response: ServerResponse): void {
    const known = this.tasks.get(String(params['id']))
    const reply = (body: object): void => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...body }))
    }
    if (method === 'message/send') {
      reply({ result: this.next() })
    } else if (method === 'message/stream' || method === 'tasks/resubscribe') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      this.streams.push(response)
    } else {
      const error = { code: -32001, message: 'Task not found' }
      reply(known === undefined ? { error } : { result: known })
    }
  }
}
