import { describe, expect, it } from 'vitest'
import { findDeepNesting, findLostPart, taskOfMessage } from './message-rules.ts'

const message = (members: object) => ({ message: { messageId: 'm', ...members } })

describe('findLostPart', () => {
  it('finds the null that the SDK takes for nothing', () => {
    const parts = [{ text: 'a' }, { data: null }]
    expect(findLostPart(message({ parts }))?.field).toBe('params.message.parts[1].data')
  })

  it.each([[undefined], [null], [5], [{}], [message({})], [message({ parts: [{ data: false }] })]])(
    'finds none in %j',
    (params) => expect(findLostPart(params)).toBeUndefined(),
  )
})

describe('findDeepNesting', () => {
  it.each([
    [196, undefined],
    [198, 'params'],
    [60_000, 'params'],
  ])('of data of %d levels: %s', (levels, field) => {
    const data = JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`)
    expect(findDeepNesting(message({ metadata: { data } }))?.field).toBe(field)
  })
})

describe('taskOfMessage', () => {
  it('names the task that a message goes on with', () => {
    expect(taskOfMessage(message({ taskId: 't' }))).toBe('t')
    expect(taskOfMessage(message({ taskId: 5 }))).toBeUndefined()
    expect(taskOfMessage(null)).toBeUndefined()
  })
})
