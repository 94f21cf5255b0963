import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findMessageFault, findTaskFault } from './message-rules.ts'

const legacy = (parts: unknown) => ({ message: { messageId: 'm', role: 'user', parts } })
const modern = (parts: unknown) => ({ message: { messageId: 'm', role: 'ROLE_USER', parts } })
const judge = (params: object, dialect: '0.3' | '1.0') =>
  findMessageFault(JSON.parse(JSON.stringify(params)), dialect)

describe('findMessageFault', () => {
  it.each([
    [[{ kind: 'text', text: '' }]],
    [[{ kind: 'file', file: { uri: 'workspace:/workspace/a' } }]],
    [[{ kind: 'file', file: { bytes: '' } }]],
    [[{ kind: 'data', data: {} }]],
  ])('finds none in 0.3 parts %j', (parts) => {
    expect(judge(legacy(parts), '0.3')).toBeUndefined()
  })

  it.each([
    [[{ text: '' }]],
    [[{ text: 'a', mediaType: 'text/plain', kind: 'text' }]],
    [[{ url: 'workspace:/workspace/a', filename: 'a' }]],
    [[{ raw: 'YWI' }, { raw: 'YWI=' }, { raw: '' }]],
    [[{ data: [1, 'x'] }, { data: false }]],
  ])('finds none in 1.0 parts %j', (parts) => {
    expect(judge(modern(parts), '1.0')).toBeUndefined()
  })

  it('names the first part that is wrong', () => {
    const parts = [{ text: 'a' }, {}, { text: 1 }]
    expect(judge(modern(parts), '1.0')?.field).toBe('params.message.parts[1]')
  })

  it.each(['YQ', 'YQ==', 'YWI=', 'YWI', 'YWJj', '-_-_', ''])('takes %j for base64', (raw) => {
    expect(judge(modern([{ raw }]), '1.0')).toBeUndefined()
    expect(judge(legacy([{ kind: 'file', file: { bytes: raw } }]), '0.3')).toBeUndefined()
  })

  it.each(['Y', 'YWJjZ', 'YQ=', 'YWI==', 'YWJj=', '=', 'Y Q=', 'YQ==YQ==', 'Y===', 'YQ==\n'])(
    'does not take %j for base64',
    (raw) => {
      expect(judge(modern([{ raw }]), '1.0')?.detail).toBe('raw is not base64')
    },
  )

  it('judges as many bytes as a body can hold', () => {
    const raw = Buffer.alloc(12 * 1024 * 1024, 0x5a).toString('base64')
    expect(judge(modern([{ raw }]), '1.0')).toBeUndefined()
    expect(judge(modern([{ raw: `${raw.slice(0, -1)}!` }]), '1.0')?.detail).toBe(
      'raw is not base64',
    )
  })

  it.each([
    ['message.taskId', { taskId: 5 }],
    ['message.contextId', { contextId: {} }],
    ['message.referenceTaskIds', { referenceTaskIds: 4 }],
    ['message.extensions', { extensions: ['x', 1] }],
    ['message.metadata', { metadata: 'x' }],
  ])('finds %s of another type than the SDK takes it for', (field, members) => {
    for (const dialect of ['0.3', '1.0'] as const) {
      const { message } =
        dialect === '0.3' ? legacy([{ kind: 'text', text: '' }]) : modern([{ text: '' }])
      const judged = judge({ message: { ...message, ...members } }, dialect)
      expect(judged?.field).toBe(`params.${field}`)
    }
  })

  it.each([
    ['configuration', { configuration: 5 }],
    ['metadata', { metadata: [] }],
    ['configuration.blocking', { configuration: { blocking: 'yes' } }],
    ['configuration.returnImmediately', { configuration: { returnImmediately: 1 } }],
    ['configuration.acceptedOutputModes', { configuration: { acceptedOutputModes: 'text' } }],
  ])('finds %s of another type than the SDK takes it for', (field, members) => {
    const params = { ...legacy([{ kind: 'text', text: '' }]), ...members }
    expect(judge(params, '0.3')?.field).toBe(`params.${field}`)
  })

  it.each([{ name: 5 }, { mimeType: {} }])('finds a file of 0.3 described by %j', (members) => {
    const file = { uri: 'workspace:/workspace/a', ...members }
    expect(judge(legacy([{ kind: 'file', file }]), '0.3')?.field).toBe('params.message.parts[0]')
  })

  it('takes null for absent', () => {
    const { message } = legacy([{ kind: 'text', text: '' }])
    const nothing = { taskId: null, contextId: null, metadata: null, extensions: null }
    const params = { message: { ...message, ...nothing }, configuration: null, metadata: null }
    expect(judge(params, '0.3')).toBeUndefined()
  })

  it('judges anything that is JSON without throwing', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom('0.3' as const, '1.0' as const),
        (value, dialect) => {
          for (const params of [value, { message: value }, legacy(value), legacy([value])]) {
            findMessageFault(JSON.parse(JSON.stringify(params)), dialect)
          }
        },
      ),
    )
  })
})

describe('findTaskFault', () => {
  it.each([[undefined], [null], [[]], [{}], [{ id: 't' }], [{ id: null }]])(
    'leaves %j to the SDK',
    (params) => expect(findTaskFault(params)).toBeUndefined(),
  )

  it.each([5, {}, [], true])('finds an id that is %j', (id) => {
    expect(findTaskFault({ id })).toEqual({ field: 'params.id', detail: 'must be a text' })
  })
})
