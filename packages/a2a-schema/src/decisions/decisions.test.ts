import { describe, expect, it } from 'vitest'
import { parseRpcRequest, rpcRequestText } from '../json-rpc.ts'
import { type Normalised, normaliseRequest } from '../normalise.ts'
import { translateRequest } from '../translate/request.ts'
import { type Decision, MINTED, type Outcome } from './decision.ts'
import { DECISIONS } from './decisions.ts'

const ids = { uuid: () => MINTED }

function outcomeOf(params: unknown, method: string): Outcome {
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const parsed = parseRpcRequest(new TextEncoder().encode(text), ids)
  if (!parsed.ok) throw new Error(parsed.error.message)
  const result = normaliseRequest(parsed.request, ids)
  if (!result.ok) {
    const data = JSON.parse(JSON.stringify(result.error.data))
    return { verdict: 'R', field: data.field }
  }
  const { message } = JSON.parse(rpcRequestText(result.request)).params
  return result.notes.length === 0
    ? { verdict: 'A', message }
    : { verdict: 'N', message, notes: sorted(result) }
}

const sorted = ({ notes }: Pick<Normalised, 'notes'>) => [...notes].sort()

const METHODS = [
  ['0.3', 'message/send'],
  ['0.3', 'message/stream'],
  ['1.0', 'SendMessage'],
  ['1.0', 'SendStreamingMessage'],
] as const

describe.each(METHODS)('a message of %s by %s', (dialect, method) => {
  it.each(DECISIONS.map((decision) => [decision.id, decision.says, decision] as const))(
    '%s: %s',
    (_id, _says, decision: Decision) => {
      const expected = decision[dialect]
      const outcome = outcomeOf(decision.params, method)
      expect(outcome).toEqual(
        expected.verdict === 'N' ? { ...expected, notes: [...expected.notes].sort() } : expected,
      )
    },
  )

  it.each(
    DECISIONS.filter((decision) => decision[dialect].verdict !== 'R').map(
      ({ id, ...rest }) => [id, rest] as const,
    ),
  )('leaves alone what %s has become', (_id, decision) => {
    const expected = decision[dialect]
    const message = expected.verdict === 'R' ? undefined : expected.message
    expect(outcomeOf({ message }, method)).toEqual({ verdict: 'A', message })
  })
})

describe('a decision', () => {
  const pairs = [
    ['0.3', '1.0', 'message/send'],
    ['1.0', '0.3', 'SendMessage'],
  ] as const

  it.each(pairs)('of %s is the one of %s in the other words', (from, to, method) => {
    for (const decision of DECISIONS) {
      const [own, other] = [decision[from], decision[to]]
      if (own.verdict === 'R' || other.verdict === 'R') continue
      const params = { message: own.message }
      const translated = translateRequest({ operation: 'send', params }, from, to)
      expect([decision.id, translated]).toEqual([decision.id, { message: other.message }])
      expect(outcomeOf(params, method)).toMatchObject({ verdict: 'A' })
    }
  })
})

describe('the decisions', () => {
  it('have ids of their own', () => {
    const known = DECISIONS.map(({ id }) => id)
    expect(new Set(known).size).toBe(known.length)
  })

  it('cover every row of the matrix but the one of 0.1', () => {
    const rows = new Set(DECISIONS.map(({ id }) => /^M(\d+)/.exec(id)?.[1]))
    for (let row = 1; row <= 20; row += 1) {
      expect(rows.has(String(row)) || row === 19).toBe(true)
    }
  })
})
