import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import type { Operation } from '@atrium/a2a-schema/method'
import { restRequest, restResult } from '@atrium/a2a-schema/translate/rest'
import { RestTransport } from 'a2a-sdk-0-3-14/client'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventV03, messageV03, sendV03, taskPushV03, taskV03 } from '../support/a2a-arbitraries.ts'
import { plain } from '../support/a2a-sdk-oracle.ts'

/**
 * The client forgets the metadata of parts, the names of files, the other tasks that a message is about,
 * the extensions of an artifact and whether it is appended, and writes what is empty: none of it is a
 * difference.
 */
function known(value: JsonValue | undefined): JsonValue {
  if (Array.isArray(value)) return value.map((one: JsonValue) => known(one))
  if (!isJsonObject(value)) return value ?? null
  const forgotten = forgottenOf(value)
  const entries = Object.entries(value).filter(([name, one]) => {
    const isEmpty = one === '' || one === false || one === 0 || isEmptyList(one)
    return !(isEmpty || forgotten.includes(name))
  })
  return Object.fromEntries(entries.map(([name, one]) => [name, known(one)]))
}

function isEmptyList(value: JsonValue): boolean {
  return Array.isArray(value) && value.length === 0
}

function forgottenOf(value: JsonObject): readonly string[] {
  const { kind } = value
  if (kind === 'text' || kind === 'file' || kind === 'data') return ['metadata']
  if (kind === 'artifact-update') return ['append']
  if ('artifactId' in value) return ['extensions']
  return 'uri' in value || 'bytes' in value ? ['name'] : ['referenceTaskIds']
}

/** What the client sent, and a client that is answered with our body for `result`. */
function client(operation: Operation, result: JsonValue) {
  const sent: { path: string; body: JsonValue } = { path: '', body: null }
  const body = JSON.stringify(restResult({ operation, result }))
  const isStream = operation === 'stream' || operation === 'subscribe'
  const transport = new RestTransport({
    endpoint: 'http://agent.invalid',
    fetchImpl: async (url, init) => {
      sent.path = String(url)
      sent.body = init?.body === undefined ? {} : JSON.parse(String(init.body))
      return new Response(isStream ? `data: ${body}\n\n` : body, {
        headers: { 'content-type': isStream ? 'text/event-stream' : 'application/json' },
      })
    },
  })
  return { transport, sent }
}

const RUNS = { numRuns: 50 }

describe('the REST client of SDK 0.3.14', () => {
  it('sends what we read as it was meant, and reads a message or a task', async () => {
    const answers = fc.oneof(messageV03, taskV03)
    const exchange = fc.asyncProperty(sendV03, answers, async (params, answer) => {
      const { transport, sent } = client('send', answer)
      const read = await transport.sendMessage(JSON.parse(JSON.stringify(params)))
      const asked = restRequest({ operation: 'send', params: sent.body })
      expect(known(asked)).toEqual(known(params))
      expect(known(plain(read))).toEqual(known(answer))
    })
    await fc.assert(exchange, RUNS)
  })

  it('sends a configuration that we read as it was meant', async () => {
    const exchange = fc.asyncProperty(sendV03, async (params) => {
      const { transport, sent } = client('send', {
        kind: 'message',
        messageId: 'm',
        role: 'agent',
        parts: [],
      })
      await transport.sendMessage(JSON.parse(JSON.stringify(params)))
      const asked = restRequest({ operation: 'send', params: sent.body })
      const configuration = isJsonObject(asked) ? asked['configuration'] : undefined
      expect(known(configuration)).toEqual(known(params['configuration']))
    })
    await fc.assert(exchange, RUNS)
  })

  it('reads every event of a stream', async () => {
    const exchange = fc.asyncProperty(eventV03, async (event) => {
      const { transport } = client('stream', event)
      const read: JsonValue[] = []
      for await (const one of transport.resubscribeTask({ id: 't' })) read.push(plain(one))
      expect(read.map(known)).toEqual([known(event)])
    })
    await fc.assert(exchange, RUNS)
  })

  it('sends and reads push configurations', async () => {
    const exchange = fc.asyncProperty(taskPushV03, async (given) => {
      const config = withPlainIds(given)
      const { transport, sent } = client('push_set', config)
      const read = await transport.setTaskPushNotificationConfig(JSON.parse(JSON.stringify(config)))
      const body = isJsonObject(sent.body) ? sent.body : {}
      const params = { ...body, taskId: config['taskId'] ?? null }
      expect(known(restRequest({ operation: 'push_set', params }))).toEqual(known(config))
      expect(known(plain(read))).toEqual(known(config))
      const listed = client('push_list', [config]).transport
      const list = await listed.listTaskPushNotificationConfig({ id: String(config['taskId']) })
      expect(known(plain(list))).toEqual([known(config)])
    })
    await fc.assert(exchange, RUNS)
  })

  it('reads the task of get and of cancel', async () => {
    const exchange = fc.asyncProperty(taskV03, async (task) => {
      const got = await client('get', task).transport.getTask({ id: 't' })
      const canceled = await client('cancel', task).transport.cancelTask({ id: 't' })
      expect(known(plain(got))).toEqual(known(task))
      expect(known(plain(canceled))).toEqual(known(task))
    })
    await fc.assert(exchange, RUNS)
  })
})

/** The ids are pieces of a path there, and its client takes no other. */
function withPlainIds(given: JsonObject): JsonObject {
  const config = given['pushNotificationConfig']
  return {
    taskId: 'task-1',
    pushNotificationConfig: { ...(isJsonObject(config) ? config : {}), id: 'config-1' },
  }
}
