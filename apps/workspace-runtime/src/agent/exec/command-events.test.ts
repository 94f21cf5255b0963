import pino from 'pino'
import { describe, expect, it } from 'vitest'
import type { ReplyArtifact } from '../agent-adapter.ts'
import { CommandEvents } from './command-events.ts'

/** Stands where a line comes in another piece. */
const CUT = '|'

/** What becomes of these lines. */
function heard(...lines: readonly unknown[]) {
  const progress: string[] = []
  const artifacts: ReplyArtifact[] = []
  const logged: string[] = []
  const log = pino(
    {},
    { write: (line: string) => void logged.push(String(Reflect.get(JSON.parse(line), 'msg'))) },
  )
  const reply = {
    text: () => undefined,
    file: () => undefined,
    progress: (text: string) => void progress.push(text),
    artifact: (artifact: ReplyArtifact) => void artifacts.push(artifact),
  }
  const events = new CommandEvents(reply, log)
  for (const line of lines) {
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    // As a pipe would: in pieces that end anywhere.
    for (const piece of text.split(CUT)) events.write(Buffer.from(piece))
    events.write(Buffer.from('\n'))
  }
  events.end()
  return { progress, artifacts, logged, end: events.turnEnd }
}

const piece = (text: string) => ({ artifact: { id: 'a', text, append: true } })

describe('CommandEvents', () => {
  it('hears how the task ends, however much was said before', () => {
    const much = Array.from({ length: 2_100 }, (_, n) => ({ progress: `${n}` }))
    const { progress, logged, end } = heard(...much, { input_required: 'which?' })
    expect(end).toEqual({ state: 'input-required', text: 'which?' })
    expect(progress).toHaveLength(2_000)
    expect(logged).toEqual(['exec.events_not_told_further'])
  })

  it('tells so much of artifacts and no more, says so, and leaves no hole in them', () => {
    const text = 'x'.repeat(200_000)
    const { artifacts, logged } = heard(...new Array(30).fill(piece(text)), piece('small'))
    expect(artifacts.length).toBe(20)
    expect(logged).toEqual(['exec.events_not_told_further'])
  })

  it('passes over what it does not understand, and does not fill the log with it', () => {
    const long = JSON.stringify({ progress: 'x'.repeat(300_000) })
    const { progress, logged } = heard(long, ...new Array(100).fill('garbage'), { progress: 'on' })
    expect(progress).toEqual(['on'])
    expect(logged).toEqual(new Array(20).fill('exec.event_not_understood'))
  })

  it('passes over what is nested deeper than the stack of whoever reads it', () => {
    const nested = (levels: number) => {
      const data = `${'['.repeat(levels)}${']'.repeat(levels)}`
      return `{"artifact":{"id":"a","data":${data}}}`
    }
    const { artifacts, logged } = heard(nested(198), nested(199), nested(60_000))
    expect(artifacts).toHaveLength(1)
    expect(logged).toEqual(new Array(2).fill('exec.event_not_understood'))
  })

  it('holds no line that is too long, and takes its rest for no line of its own', () => {
    const long = JSON.stringify(piece('x'.repeat(300_000)))
    const { artifacts, progress, logged } = heard(
      `${long.slice(0, -3)}${CUT}${long.slice(-3)}`,
      `${long}${CUT}${JSON.stringify({ progress: 'the rest' })}`,
    )
    expect([artifacts, progress]).toEqual([[], []])
    expect(logged).toEqual(new Array(2).fill('exec.event_not_understood'))
  })
})
