import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../lossless-json.ts'
import type { Operation } from '../method.ts'
import { translateResult } from './result.ts'

const LEGACY_MESSAGE = {
  kind: 'message',
  messageId: 'm1',
  role: 'agent',
  parts: [{ kind: 'text', text: 'hi' }],
}
const MESSAGE = { messageId: 'm1', role: 'ROLE_AGENT', parts: [{ text: 'hi' }] }

const LEGACY_TASK = {
  kind: 'task',
  id: 't1',
  contextId: 'c1',
  status: { state: 'input-required', message: LEGACY_MESSAGE, timestamp: '2026-01-02T03:04:05Z' },
  history: [LEGACY_MESSAGE],
  artifacts: [{ artifactId: 'a1', parts: [{ kind: 'data', data: { n: 1 } }] }],
}
const TASK = {
  id: 't1',
  contextId: 'c1',
  status: {
    state: 'TASK_STATE_INPUT_REQUIRED',
    message: MESSAGE,
    timestamp: '2026-01-02T03:04:05Z',
  },
  history: [MESSAGE],
  artifacts: [{ artifactId: 'a1', parts: [{ data: { n: 1 } }] }],
}

const LEGACY_CONFIG = {
  taskId: 't1',
  pushNotificationConfig: {
    id: 'p1',
    url: 'https://hook.example/1',
    authentication: { schemes: ['Bearer'], credentials: 'x' },
  },
}
const CONFIG = {
  taskId: 't1',
  id: 'p1',
  url: 'https://hook.example/1',
  authentication: { scheme: 'Bearer', credentials: 'x' },
}

const LEGACY_STATUS = {
  kind: 'status-update',
  taskId: 't1',
  contextId: 'c1',
  status: { state: 'completed' },
  final: true,
}
const STATUS = {
  statusUpdate: { taskId: 't1', contextId: 'c1', status: { state: 'TASK_STATE_COMPLETED' } },
}

const LEGACY_ARTIFACT = {
  kind: 'artifact-update',
  taskId: 't1',
  contextId: 'c1',
  artifact: { artifactId: 'a1', parts: [{ kind: 'file', file: { uri: 'https://f.example/1' } }] },
  append: false,
  lastChunk: true,
}
const ARTIFACT = {
  artifactUpdate: {
    taskId: 't1',
    contextId: 'c1',
    artifact: { artifactId: 'a1', parts: [{ url: 'https://f.example/1' }] },
    append: false,
    lastChunk: true,
  },
}

const PAIRS: readonly (readonly [Operation, JsonValue, JsonValue])[] = [
  ['send', LEGACY_TASK, { task: TASK }],
  ['send', LEGACY_MESSAGE, { message: MESSAGE }],
  ['get', LEGACY_TASK, TASK],
  ['cancel', LEGACY_TASK, TASK],
  ['list', { tasks: [LEGACY_TASK], nextPageToken: '' }, { tasks: [TASK], nextPageToken: '' }],
  ['push_set', LEGACY_CONFIG, CONFIG],
  ['push_get', LEGACY_CONFIG, CONFIG],
  ['push_list', [LEGACY_CONFIG], { configs: [CONFIG], nextPageToken: '' }],
  ['push_delete', null, {}],
  ['stream', LEGACY_STATUS, STATUS],
  ['subscribe', LEGACY_ARTIFACT, ARTIFACT],
  ['stream', LEGACY_TASK, { task: TASK }],
  ['stream', LEGACY_MESSAGE, { message: MESSAGE }],
]

describe('translateResult', () => {
  it.each(PAIRS)('makes a 1.0 result of a 0.3 one: %s %#', (operation, legacy, current) => {
    expect(translateResult({ operation, result: legacy }, '0.3', '1.0')).toEqual(current)
  })

  it.each(PAIRS)('makes a 0.3 result of a 1.0 one: %s %#', (operation, legacy, current) => {
    expect(translateResult({ operation, result: current }, '1.0', '0.3')).toEqual(legacy)
  })

  it.each(PAIRS)('leaves what is in its dialect: %s %#', (operation, legacy, current) => {
    expect(translateResult({ operation, result: legacy }, '0.3', '0.3')).toEqual(legacy)
    expect(translateResult({ operation, result: current }, '1.0', '1.0')).toEqual(current)
  })

  it.each(PAIRS)(
    'understands an agent that answers in the other dialect: %s %#',
    (operation, legacy, current) => {
      expect(translateResult({ operation, result: legacy }, '1.0', '1.0')).toEqual(current)
      expect(translateResult({ operation, result: current }, '0.3', '0.3')).toEqual(legacy)
    },
  )

  it.each<readonly [Operation, JsonValue | undefined]>([
    ['send', undefined],
    ['send', 'ok'],
    ['send', LEGACY_STATUS],
    ['get', MESSAGE],
    ['get', null],
    ['list', { items: [] }],
    ['stream', {}],
    ['stream', { kind: 'telemetry' }],
    ['push_list', { configs: 'none' }],
    ['extended_card', []],
  ])('finds no result in garbage: %s %j', (operation, result) => {
    expect(translateResult({ operation, result }, '0.3', '1.0')).toBeUndefined()
  })
})

describe('translateResult for a client of 0.1', () => {
  it('writes a task as 0.1 knows it', () => {
    expect(translateResult({ operation: 'get', result: TASK }, '1.0', '0.1')).toEqual({
      id: 't1',
      sessionId: 'c1',
      status: {
        state: 'input-required',
        message: { messageId: 'm1', role: 'agent', parts: [{ type: 'text', text: 'hi' }] },
        timestamp: '2026-01-02T03:04:05Z',
      },
      history: [{ messageId: 'm1', role: 'agent', parts: [{ type: 'text', text: 'hi' }] }],
      artifacts: [{ artifactId: 'a1', parts: [{ type: 'data', data: { n: 1 } }], index: 0 }],
    })
  })

  it('writes a bare message as a task that is complete with it', () => {
    const result = translateResult({ operation: 'send', result: LEGACY_MESSAGE }, '0.3', '0.1')
    expect(result).toMatchObject({ id: 'm1', status: { state: 'completed' } })
  })

  it.each([
    ['rejected', 'failed'],
    ['auth-required', 'input-required'],
  ])('writes %s, which 0.1 does not have, as %s', (state, legacy) => {
    const event = {
      kind: 'status-update',
      taskId: 't1',
      contextId: 'c1',
      status: { state },
      final: true,
    }
    expect(translateResult({ operation: 'stream', result: event }, '0.3', '0.1')).toEqual({
      id: 't1',
      sessionId: 'c1',
      status: { state: legacy },
      final: true,
    })
  })

  it('writes how the pieces of an artifact go together into the artifact', () => {
    expect(translateResult({ operation: 'stream', result: LEGACY_ARTIFACT }, '0.3', '0.1')).toEqual(
      {
        id: 't1',
        sessionId: 'c1',
        artifact: {
          artifactId: 'a1',
          parts: [{ type: 'file', file: { uri: 'https://f.example/1' } }],
          index: 0,
          append: false,
          lastChunk: true,
        },
      },
    )
  })
})
