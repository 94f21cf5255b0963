import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findMessageFault } from './message-rules.ts'

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
