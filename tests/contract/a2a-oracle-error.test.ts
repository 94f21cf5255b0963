import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { translateError } from '@atrium/a2a-schema/translate/error'
import { AgentCard } from 'a2a-sdk-1-3-0'
import { JsonRpcTransportFactory } from 'a2a-sdk-1-3-0/client'
import { LegacyJsonRpcTransport } from 'a2a-sdk-1-3-0/compat/v0_3/client'
import { LegacyJsonRpcTransportHandler } from 'a2a-sdk-1-3-0/compat/v0_3/server'
import {
  ContentTypeNotSupportedError,
  ExtendedAgentCardNotConfiguredError,
  ExtensionSupportRequiredError,
  InvalidAgentResponseError,
  PushNotificationNotSupportedError,
  TaskNotCancelableError,
  TaskNotFoundError,
  UnsupportedOperationError,
  VersionNotSupportedError,
} from 'a2a-sdk-1-3-0/errors'
import { JsonRpcTransportHandler } from 'a2a-sdk-1-3-0/server'
import { describe, expect, it } from 'vitest'
import { plain } from '../support/a2a-sdk-oracle.ts'

const KINDS = [
  TaskNotFoundError,
  TaskNotCancelableError,
  PushNotificationNotSupportedError,
  UnsupportedOperationError,
  ContentTypeNotSupportedError,
  InvalidAgentResponseError,
  ExtendedAgentCardNotConfiguredError,
  ExtensionSupportRequiredError,
  VersionNotSupportedError,
]

const NAMED = KINDS.map((kind) => [new kind().name, kind] as const)

function objectOf(value: unknown): JsonObject {
  const json = plain(value)
  return isJsonObject(json) ? json : {}
}

/** What an agent of either dialect answers, in SDK 1.3.0. */
function sdkBodies(error: Error) {
  return {
    current: objectOf(JsonRpcTransportHandler.mapToJSONRPCError(error)),
    legacy: objectOf(LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError(error)),
  }
}

const fetchOf = (error: JsonValue) => async (_url: unknown, init?: RequestInit) => {
  const { id } = JSON.parse(String(init?.body))
  return Response.json({ jsonrpc: '2.0', id, error })
}

async function thrownBy(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof Error) return error
  throw new Error('nothing was thrown')
}

const WANTED = { tenant: '', id: 't', historyLength: undefined }

function readByLegacy(error: JsonValue): Promise<Error> {
  const endpoint = 'http://agent.invalid/'
  return thrownBy(
    new LegacyJsonRpcTransport({ endpoint, fetchImpl: fetchOf(error) }).getTask(WANTED),
  )
}

async function readByCurrent(error: JsonValue): Promise<Error> {
  const factory = new JsonRpcTransportFactory({ fetchImpl: fetchOf(error) })
  const transport = await factory.create('http://agent.invalid/', AgentCard.fromJSON({}))
  return thrownBy(transport.getTask(WANTED))
}

describe('an error of SDK 1.3.0', () => {
  it.each(NAMED)('%s of 0.3 becomes what it is in 1.0', (_name, kind) => {
    const { current, legacy } = sdkBodies(new kind({ message: 'no' }))
    expect(translateError(legacy, '0.3', '1.0')).toEqual(current)
  })

  it.each(NAMED)('%s of 1.0 becomes what it is in 0.3, and keeps its facts', (_name, kind) => {
    const metadata = { taskId: '1' }
    const { current, legacy } = sdkBodies(new kind({ message: 'no', metadata }))
    expect(translateError(current, '1.0', '0.3')).toEqual({ ...legacy, data: metadata })
  })

  it.each([
    -32700, -32600, -32601, -32602, -32603, -32001, -32002, -32003, -32004, -32005, -32006, -32007,
    -32050,
  ])('%d reads the same after translation as before it', async (code) => {
    const legacy = { code, message: 'no', data: { why: ['a', 1] } }
    const before = await readByLegacy(legacy)
    const after = await readByCurrent(translateError(legacy, '0.3', '1.0'))
    expect([after.name, after.message]).toEqual([before.name, before.message])
  })
})

describe('translateError', () => {
  it('says which field is refused in the words of each', () => {
    const legacy = {
      code: -32602,
      message: 'invalid params',
      data: { field: 'params.message.parts', detail: 'missing' },
    }
    const current = translateError(legacy, '0.3', '1.0')
    expect(current['data']).toEqual([
      {
        '@type': 'type.googleapis.com/google.rpc.BadRequest',
        fieldViolations: [{ field: 'params.message.parts', description: 'missing' }],
      },
    ])
    expect(translateError(current, '1.0', '0.3')).toEqual(legacy)
  })

  it('keeps what the facts of 1.0 cannot hold behind them', () => {
    const legacy = { code: -32001, message: 'no', data: { tries: 3 } }
    expect(translateError(legacy, '0.3', '1.0')['data']).toEqual([
      {
        '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
        reason: 'TASK_NOT_FOUND',
        domain: 'a2a-protocol.org',
      },
      { '@type': 'type.googleapis.com/google.protobuf.Value', value: { tries: 3 } },
    ])
  })

  it('puts details that 0.3 has no shape for under a name', () => {
    const details = [
      {
        '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
        reason: 'AGENT_UNAVAILABLE',
        domain: 'x',
      },
      { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '15s' },
    ]
    const legacy = translateError({ code: -32603, message: 'no', data: details }, '1.0', '0.3')
    expect(legacy['data']).toEqual({ details })
  })
})
