import { describe, expect, it } from 'vitest'
import { HeldClock } from '../../../../../tests/support/held-clock.ts'
import { AgentDialects } from './agent-dialect.ts'

const speaks = (...versions: string[]) => ({
  supportedInterfaces: versions.map((protocolVersion) => ({
    ...{ url: 'http://agent/', protocolBinding: 'JSONRPC', protocolVersion },
  })),
})
const agent = (id: string, agentCard: unknown = speaks('1.0'), generation = 1) => ({
  ...{ id, agentCard, generation },
})
const fresh = () => {
  const clock = new HeldClock()
  return { clock, dialects: new AgentDialects(clock) }
}

describe('the version in which an agent is spoken to', () => {
  it.each([
    [speaks('1.0', '0.3'), '0.3', '0.3'],
    [speaks('1.0', '0.3'), '1.0', '1.0'],
    [speaks('1.0'), '0.3', '1.0'],
    [speaks('0.3'), '1.0', '0.3'],
    [null, '1.0', '1.0'],
    ['a text', '0.3', '0.3'],
    [[speaks('1.0')], '0.3', '0.3'],
  ] as const)('of %j for who speaks %s is %s', (card, own, chosen) => {
    expect(fresh().dialects.choose(agent('a', card), own)).toBe(chosen)
  })

  it('is the other one for ten minutes after it was refused, and for that agent alone', () => {
    const { clock, dialects } = fresh()
    dialects.noteRefusal(agent('a'), '1.0')
    expect(dialects.choose(agent('a'), '1.0')).toBe('0.3')
    expect(dialects.choose(agent('b'), '1.0')).toBe('1.0')
    // Another generation is another program.
    expect(dialects.choose(agent('a', speaks('1.0'), 2), '1.0')).toBe('1.0')
    clock.advance(10 * 60_000 - 1)
    expect(dialects.choose(agent('a'), '1.0')).toBe('0.3')
    clock.advance(1)
    expect(dialects.choose(agent('a'), '1.0')).toBe('1.0')
  })

  it('is remembered of ten thousand, the latest', () => {
    const { dialects } = fresh()
    for (let each = 0; each < 10_000; each += 1) dialects.noteRefusal(agent(String(each)), '1.0')
    dialects.noteRefusal(agent('0'), '1.0')
    dialects.noteRefusal(agent('one more'), '1.0')
    const chosen = ['0', '1', '2', 'one more'].map((id) => dialects.choose(agent(id), '1.0'))
    expect(chosen).toEqual(['0.3', '1.0', '0.3', '0.3'])
  })
})
