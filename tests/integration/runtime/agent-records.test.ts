import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type AgentRuntime,
  makeWorkspaceFolders,
  startAgentRuntime,
  userMessage,
  type WorkspaceFolders,
} from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'

let runtime: AgentRuntime

afterEach(() => runtime.close())

const tasksFolder = (folders: WorkspaceFolders) => join(folders.configs, '.atrium', 'tasks')

/** A runtime that finds these files where its tasks are. */
async function startWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folders = makeWorkspaceFolders()
  const folder = tasksFolder(folders)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  runtime = await startAgentRuntime({ folders })
  return folder
}

const record = (id: string, status: object) =>
  JSON.stringify({ version: 1, task: { id, contextId: 'c', status } })
const done = (timestamp: string) => ({ state: 'TASK_STATE_COMPLETED', timestamp })

const sendLater = async () => {
  const params = { ...userMessage('hello'), configuration: { blocking: false } }
  return String((await runtime.call('message/send', params)).result?.['id'])
}

const log = () => readFileSync(runtime.logFile, 'utf8')

describe('the folder of the tasks', () => {
  it('keeps nobody from starting, whatever lies in it', async () => {
    const deep = JSON.parse(`${'['.repeat(3_000)}${']'.repeat(3_000)}`)
    const folder = await startWith({
      'folder.json/x': '',
      'garbage.json': '{',
      'list.json': '[]',
      'other.json': record('another-name', done('2026-01-01T00:00:00.000Z')),
      'deep.json': record('deep', {
        ...done('2026-01-01T00:00:00.000Z'),
        message: { messageId: 'm', metadata: { deep } },
      }),
      'undated.json': record('undated', done('yesterday')),
      'left.json.0.part': '',
    })
    expect((await runtime.call('ListTasks', {})).result).toMatchObject({ totalSize: 0 })
    const names = ['deep', 'folder', 'garbage', 'list', 'other', 'undated']
    expect(readdirSync(folder).sort()).toEqual(names.map((name) => `${name}.json.broken`))
    expect(log()).toContain('records.set_aside')
  })

  it('is not missed where there can be none, and that is said', async () => {
    const folders = makeWorkspaceFolders()
    writeFileSync(join(folders.configs, '.atrium'), 'a file')
    runtime = await startAgentRuntime({ folders })
    const id = await sendLater()
    await eventually(async () => {
      const { result } = await runtime.call('tasks/get', { id })
      return JSON.stringify(result).includes('"completed"')
    })
    expect(log()).toContain('records.folder_unusable')
  })

  it('has no file of a task that is forgotten', async () => {
    const folder = await startWith({
      'old.json': record('old', done('2020-01-01T00:00:00.000Z')),
    })
    const id = await sendLater()
    await eventually(() => !existsSync(join(folder, 'old.json')))
    expect(existsSync(join(folder, `${id}.json`))).toBe(true)
  })

  it('may vanish, and no task with it', async () => {
    const folder = await startWith({})
    rmSync(folder, { recursive: true })
    const id = await sendLater()
    await eventually(async () => {
      const { result } = await runtime.call('tasks/get', { id })
      return JSON.stringify(result).includes('"completed"')
    })
    expect(log()).toContain('tasks.not_kept')
  })

  it('is of no use to anybody else', async () => {
    const folder = await startWith({})
    const id = await sendLater()
    await eventually(() => existsSync(join(folder, `${id}.json`)))
    expect(statSync(join(folder, `${id}.json`)).mode & 0o777).toBe(0o600)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })
})
