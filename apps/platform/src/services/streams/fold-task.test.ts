import { describe, expect, it } from 'vitest'
import { foldTask } from './fold-task.ts'
import { readStreamEvent } from './stream-event.ts'

const event = (result: object) =>
  readStreamEvent(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, result })))
const about = { taskId: 't', contextId: 'c' }
const artifact = (artifactId: string, text: string, fields: object = {}) =>
  event({
    ...{ kind: 'artifact-update', ...about },
    artifact: { artifactId, parts: [{ kind: 'text', text }] },
    ...fields,
  })
const status = (state: string) =>
  event({ kind: 'status-update', ...about, status: { state }, final: false })
const whole = event({ kind: 'task', id: 't', contextId: 'c', status: { state: 'submitted' } })

const folded = (...events: ReturnType<typeof event>[]) =>
  events.reduce<ReturnType<typeof foldTask>>(foldTask, undefined)

describe('foldTask', () => {
  it('begins with what any event says of the task', () => {
    expect(folded(status('working'))).toEqual({
      ...{ id: 't', contextId: 'c', status: { state: 'working' } },
    })
    expect(folded(artifact('a', '1'))).toMatchObject({ id: 't', artifacts: [{ artifactId: 'a' }] })
  })

  it('has the last status, and keeps the rest', () => {
    expect(folded(whole, artifact('a', '1'), status('working'))).toMatchObject({
      ...{ id: 't', status: { state: 'working' }, artifacts: [{ artifactId: 'a' }] },
    })
  })

  it('adds a piece to its artifact, and puts anything else in its place', () => {
    const more = artifact('a', '2', { append: true })
    const texts = (...events: ReturnType<typeof event>[]) =>
      JSON.stringify(folded(whole, ...events)?.['artifacts']).match(/(?<="text":")\w+/g)
    expect(texts(artifact('a', '1'), more)).toEqual(['1', '2'])
    expect(texts(artifact('a', '1'), artifact('a', '2'))).toEqual(['2'])
    expect(texts(artifact('a', '1'), artifact('b', '3'), more)).toEqual(['1', '2', '3'])
    expect(texts(more)).toEqual(['2'])
  })

  it('bears what is none', () => {
    const none = event({ kind: 'artifact-update', ...about, artifact: 7 })
    expect(folded(whole, none)).toMatchObject({ id: 't', artifacts: [] })
    const odd = artifact('a', '1', { artifact: { artifactId: 'a', parts: 'x' }, append: true })
    expect(folded(whole, artifact('a', '1'), odd)).toMatchObject({
      artifacts: [{ artifactId: 'a', parts: [{ text: '1' }] }],
    })
    expect(folded(event({ kind: 'message', messageId: 'm', role: 'agent', parts: [] }))).toBe(
      undefined,
    )
  })

  it('begins anew with a whole task', () => {
    expect(folded(artifact('a', '1'), whole)).not.toHaveProperty('artifacts')
  })
})
