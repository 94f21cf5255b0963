import { type Task, TaskState } from '@a2a-js/sdk'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { describe, expect, it } from 'vitest'
import { agentMessage, textPart } from '../a2a-objects.ts'
import { RecentTaskStore } from './recent-task-store.ts'

function task(id: string, state: TaskState, text = ''): Task {
  const artifact = {
    artifactId: 'r',
    name: '',
    description: '',
    metadata: undefined,
    extensions: [],
  }
  return {
    id,
    contextId: 'c',
    status: { state, message: undefined, timestamp: `2026-01-01T00:00:0${id.length}Z` },
    artifacts: [{ ...artifact, parts: [textPart(text)] }],
    history: [],
    metadata: undefined,
  }
}

const DONE = TaskState.TASK_STATE_COMPLETED
const WORKING = TaskState.TASK_STATE_WORKING

const NOW = new Date('2026-01-01T00:01:00Z')

/** Forgets by age as well where the test says so. */
function recent(limits: { maxTasks: number; maxBytes: number; maxAgeMs?: number }) {
  const forgotten: string[] = []
  const store = new RecentTaskStore(
    { maxAgeMs: 3_600_000, ...limits },
    { clock: { now: () => NOW }, onForgotten: (id) => forgotten.push(id) },
  )
  return Object.assign(store, { forgotten })
}

describe('RecentTaskStore', () => {
  it('forgets the oldest finished task when there are too many', async () => {
    const store = recent({ maxTasks: 2, maxBytes: 100_000 })
    for (const id of ['a', 'b', 'c']) await store.save(task(id, DONE))
    expect(await store.load('a')).toBeUndefined()
    expect((await store.load('c'))?.id).toBe('c')
  })

  it('never forgets one that is not finished', async () => {
    const store = recent({ maxTasks: 1, maxBytes: 100_000 })
    await store.save(task('a', WORKING))
    for (const id of ['b', 'c']) await store.save(task(id, DONE))
    expect((await store.load('a'))?.id).toBe('a')
    expect(await store.load('b')).toBeUndefined()
  })

  it('forgets one that waits for its user as it forgets one that is over', async () => {
    const store = recent({ maxTasks: 1, maxBytes: 100_000 })
    await store.save(task('a', TaskState.TASK_STATE_INPUT_REQUIRED))
    await store.save(task('b', DONE))
    expect(await store.load('a')).toBeUndefined()
    expect(store.forgotten).toEqual(['a'])
  })

  it('forgets by age as well, but none that is worked on', async () => {
    const store = recent({ maxTasks: 9, maxBytes: 100_000, maxAgeMs: 57_500 })
    for (const id of ['a', 'bb']) await store.save(task(id, id === 'a' ? WORKING : DONE))
    await store.save(task('ccc', DONE))
    expect(store.forgotten).toEqual(['bb'])
    expect((await store.load('a'))?.id).toBe('a')
  })

  it('forgets by size as well, and counts a task that is saved again once', async () => {
    const store = recent({ maxTasks: 100, maxBytes: 25_000 })
    await store.save(task('a', DONE, 'x'.repeat(10_000)))
    for (let save = 0; save < 5; save += 1) await store.save(task('b', DONE, 'x'.repeat(10_000)))
    expect((await store.load('a'))?.id).toBe('a')
    await store.save(task('c', DONE, 'x'.repeat(10_000)))
    expect(await store.load('a')).toBeUndefined()
    expect((await store.load('b'))?.id).toBe('b')
  })

  it('counts everything that a caller can put into a message', async () => {
    const store = recent({ maxTasks: 100, maxBytes: 25_000 })
    const message = agentMessage({ clock: systemClock, ids: systemIds }, { contextId: 'c' }, [])
    const metadata = { large: 'x'.repeat(10_000) }
    const raw = { ...textPart(''), content: { $case: 'raw', value: Buffer.alloc(10_000) } } as const
    await store.save({ ...task('a', DONE), history: [{ ...message, metadata }] })
    await store.save({ ...task('b', DONE), history: [{ ...message, parts: [raw] }] })
    expect((await store.load('a'))?.id).toBe('a')
    await store.save({ ...task('c', DONE), metadata })
    expect(await store.load('a')).toBeUndefined()
    expect((await store.load('b'))?.id).toBe('b')
  })

  it('hands out copies', async () => {
    const store = recent({ maxTasks: 2, maxBytes: 100_000 })
    const original = task('a', DONE, 'x')
    await store.save(original)
    original.artifacts = []
    const loaded = await store.load('a')
    if (loaded !== undefined) loaded.contextId = 'changed'
    expect(await store.load('a')).toMatchObject({ contextId: 'c', artifacts: [{}] })
  })
})
