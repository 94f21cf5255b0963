import { randomUUID } from 'node:crypto'
import { AppError } from '@atrium/http-kit/app-error'
import { systemIds } from '@atrium/http-kit/clock'
import { afterEach, describe, expect, it } from 'vitest'
import {
  endDelegation,
  findDelegation,
  insertDelegation,
} from '../../../apps/platform/src/db/delegation-store.ts'
import type { Delegation } from '../../../apps/platform/src/domain/delegation.ts'
import { DelegationRunner } from '../../../apps/platform/src/services/delegation/delegation-runner.ts'
import type { GatewayAnswer } from '../../../apps/platform/src/services/gateway/gateway-call.ts'
import type { AskedTask } from '../../../apps/platform/src/services/streams/whole-stream.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import {
  claim,
  client,
  enqueue,
  ledger,
  messageFor,
  provideLedger,
  silent,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

const ANSWER: GatewayAnswer = {
  kind: 'json',
  status: 200,
  body: Buffer.from(
    '{"jsonrpc":"2.0","id":1,"result":{"kind":"message","parts":[{"kind":"text","text":"ok"}]}}',
  ),
}

const runners: DelegationRunner[] = []
afterEach(async () => {
  for (const runner of runners.splice(0)) await runner.stop()
})

function scene(call: (attempt: number) => Promise<GatewayAnswer>, answers: AskedTask[] = []) {
  const asked: string[] = []
  const clock = new HeldClock(new Date())
  let calls = 0
  const runner = new DelegationRunner({
    ...{ db: client.db, clock, ids: systemIds, log: silent, ledger, activityRetentionDays: 7 },
    events: { broadcast: () => undefined },
    askTask: async (of) => {
      asked.push(String(of.upstreamTaskId))
      return answers.shift() ?? { kind: 'failed' }
    },
    call: async () => {
      calls += 1
      return await call(calls)
    },
  })
  runners.push(runner)
  return { runner, clock, asked, calls: () => calls }
}

async function newDelegation(now = new Date()): Promise<Delegation> {
  const [workspaceId, targetId] = [await workspaceWithRoom(), await workspaceWithRoom()]
  const begun = await insertDelegation(client.db, {
    ...{ id: randomUUID(), workspaceId, targetId, task: 'x', isRecorded: false },
    ...{ idempotencyKey: 'k', now },
  })
  if (begun === undefined) throw new Error('not inserted')
  return begun.delegation
}

const statusOf = async (delegation: Delegation) =>
  (await findDelegation(client.db, delegation))?.status
const errorOf = async (delegation: Delegation) =>
  (await findDelegation(client.db, delegation))?.error

/** Its message in the ledger, as if the gateway had accepted it. */
const messageOf = (delegation: Delegation) =>
  messageFor(delegation.targetId, {
    sender: `workspace:${delegation.workspaceId}`,
    senderWorkspaceId: delegation.workspaceId,
    delegationId: delegation.id,
  })

describe('a delegation', () => {
  it.each([
    new AppError('agent_unreachable'),
    new AppError('workspace_has_no_url', { extensions: { restarting: true } }),
  ])('is tried once more after 8 s: $code', async (failure) => {
    const { runner, clock, calls } = scene(async (attempt) => {
      if (attempt === 1) throw failure
      return ANSWER
    })
    const delegation = await newDelegation()
    runner.run(delegation)
    await eventually(() => calls() === 1 && clock.sleepers === 2)
    clock.advance(7_999)
    expect(calls()).toBe(1)
    clock.advance(1)
    await eventually(async () => (await statusOf(delegation)) === 'completed')
    expect(calls()).toBe(2)
  })

  it.each([new AppError('access_denied'), new AppError('workspace_has_no_url')])(
    'is not tried again for what will not change: $code',
    async (failure) => {
      const { runner, calls } = scene(async () => {
        throw failure
      })
      const delegation = await newDelegation()
      runner.run(delegation)
      await eventually(async () => (await statusOf(delegation)) === 'failed')
      expect(calls()).toBe(1)
    },
  )

  it('has half an hour', async () => {
    const never = Promise.withResolvers<GatewayAnswer>()
    const { runner, clock, calls } = scene(() => never.promise)
    const delegation = await newDelegation()
    runner.run(delegation)
    await eventually(() => calls() === 1)
    clock.advance(30 * 60_000)
    await eventually(async () => (await statusOf(delegation)) === 'failed')
    expect(await errorOf(delegation)).toMatch(/30 minutes/)
    never.resolve(ANSWER)
  })
})

describe('a delegation that nobody is at any more', () => {
  it('is sent when nothing of it was, after a while, and by one', async () => {
    const { runner, clock, calls } = scene(async () => ANSWER)
    const other = scene(async () => ANSWER)
    const delegation = await newDelegation()
    await runner.look({ workspaceId: delegation.workspaceId })
    expect([calls(), await statusOf(delegation)]).toEqual([0, 'pending'])
    clock.advance(61_000)
    other.clock.advance(61_000)
    const of = { workspaceId: delegation.workspaceId }
    await Promise.all([runner.look(of), other.runner.look(of)])
    await eventually(async () => (await statusOf(delegation)) === 'completed')
    expect(calls() + other.calls()).toBe(1)
  })

  it('is never sent again once its message is in the ledger, and ends as that does', async () => {
    const { runner, clock, calls } = scene(async () => ANSWER)
    const delegation = await newDelegation()
    const accepted = await ledger.accept(messageOf(delegation))
    if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
    clock.advance(61_000)
    const of = { workspaceId: delegation.workspaceId }
    await runner.look(of)
    expect([calls(), await statusOf(delegation)]).toEqual([0, 'dispatched'])
    await ledger.settle(accepted.claim, { kind: 'unknown', error: 'broken off' })
    clock.advance(61_000)
    expect(await runner.look(of)).toEqual({ open: 0, ended: 1 })
    expect([calls(), await statusOf(delegation)]).toEqual([0, 'failed'])
    expect(await errorOf(delegation)).toBe('outcome_unknown')
  })

  it('waits as long as its message does, and no longer than half an hour for an agent', async () => {
    const { runner, clock } = scene(async () => ANSWER)
    const delegation = await newDelegation()
    const of = { workspaceId: delegation.workspaceId }
    await enqueue(delegation.targetId, messageOf(delegation))
    clock.advance(40 * 60_000)
    await runner.look(of)
    expect(await statusOf(delegation)).toBe('queued')
    expect(await claim(delegation.targetId)).toHaveLength(1)
    const unanswered = await newDelegation()
    await ledger.accept(messageOf(unanswered))
    await runner.look({ workspaceId: unanswered.workspaceId })
    expect(await statusOf(unanswered)).toBe('failed')
  })

  it('is not ended by a message of somebody else that bears its id', async () => {
    const { runner, clock } = scene(async () => {
      throw new AppError('access_denied')
    })
    const delegation = await newDelegation()
    const foreign = messageFor(delegation.targetId, {
      senderWorkspaceId: await workspaceWithRoom(),
      delegationId: delegation.id,
    })
    const accepted = await ledger.accept(foreign)
    if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
    const response = ANSWER.kind === 'json' ? ANSWER.body : null
    const outcome = { kind: 'answered', status: 200, response, upstreamTaskId: null } as const
    await ledger.settle(accepted.claim, outcome)
    clock.advance(10_000)
    await runner.look({ workspaceId: delegation.workspaceId })
    expect(await statusOf(delegation)).toBe('pending')
  })
})

async function answered(delegation: Delegation, response: Buffer | null): Promise<void> {
  const accepted = await ledger.accept(messageOf(delegation))
  if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
  const outcome = { kind: 'answered', status: 200, response, upstreamTaskId: 't1' } as const
  await ledger.settle(accepted.claim, outcome)
}
const DEEP = Buffer.from(
  `{"jsonrpc":"2.0","id":1,"result":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
)

describe('an answer that is nested deeper than anybody reads', () => {
  it('ends a delegation as one that was not kept', async () => {
    const { runner } = scene(async () => ({ kind: 'json', status: 200, body: DEEP }))
    const delegation = await newDelegation()
    runner.run(delegation)
    await eventually(async () => (await statusOf(delegation)) === 'failed')
    expect(await errorOf(delegation)).toBe('the answer was not kept')
  })

  it('keeps no pass from what comes after it', async () => {
    const { runner, clock } = scene(async () => ANSWER)
    const [deep, sound] = [await newDelegation(), await newDelegation()]
    await answered(deep, DEEP)
    await answered(sound, ANSWER.kind === 'json' ? ANSWER.body : null)
    clock.advance(10_000)
    await runner.look()
    expect([await statusOf(deep), await statusOf(sound)]).toEqual(['failed', 'completed'])
  })
})

const WORKING = Buffer.from(
  '{"jsonrpc":"2.0","result":{"kind":"task","id":"t1","status":{"state":"working"}}}',
)

describe('a delegation whose agent goes on after it has answered', () => {
  const inState = (state: string, text: string): AskedTask => ({
    kind: 'task',
    task: {
      ...{ kind: 'task', id: 't1', contextId: 'c' },
      status: { state, message: { kind: 'message', role: 'agent', parts: [{ text }] } },
    },
  })

  /** One that was answered so: what is kept of it, or nothing of an answer without end. */
  async function answeredWith(response: Buffer | null): Promise<Delegation> {
    const delegation = await newDelegation()
    await answered(delegation, response)
    return delegation
  }
  it.each([
    ['completes', inState('completed', 'done'), { status: 'completed', responsePreview: 'done' }],
    ['fails', inState('failed', 'no'), { status: 'failed', error: 'no' }],
    [
      'asks',
      inState('input-required', 'which?'),
      { status: 'completed', responsePreview: 'which?' },
    ],
    ['is unknown', { kind: 'absent' } as const, { status: 'failed', error: /does not know/ }],
  ])('ends as its task does: one that %s', async (_, last, end) => {
    const { runner, clock, asked } = scene(
      async () => ANSWER,
      [...[inState('working', ''), { kind: 'failed' } as const, last]],
    )
    const delegation = await answeredWith(WORKING)
    await runner.look({ workspaceId: delegation.workspaceId })
    expect(await statusOf(delegation)).toBe('in_progress')
    for (const waitMs of [1_000, 2_000, 4_000]) {
      await eventually(() => clock.sleepers === 1)
      clock.advance(waitMs)
    }
    await eventually(async () => /completed|failed/.test(String(await statusOf(delegation))))
    expect(await findDelegation(client.db, delegation)).toMatchObject(end)
    expect(asked).toEqual(['t1', 't1', 't1'])
  })

  it('is followed from its answer on, without a pass', async () => {
    const delegation = await newDelegation()
    const { runner, clock } = scene(async () => {
      await answered(delegation, WORKING)
      return { ...ANSWER, body: WORKING }
    }, [inState('completed', 'done')])
    runner.run(delegation)
    await eventually(async () => (await statusOf(delegation)) === 'in_progress')
    await eventually(() => clock.sleepers === 1)
    clock.advance(1_000)
    await eventually(async () => (await statusOf(delegation)) === 'completed')
  })

  it('is asked for what was too much to keep, instead of being given up', async () => {
    const { runner, clock } = scene(async () => ANSWER, [inState('completed', 'all of it')])
    const delegation = await answeredWith(null)
    clock.advance(61_000)
    await runner.look({ workspaceId: delegation.workspaceId })
    await eventually(() => clock.sleepers === 1)
    clock.advance(1_000)
    await eventually(async () => (await statusOf(delegation)) === 'completed')
  })

  it('is asked about by one at a time, and no more once it is over', async () => {
    const { runner, clock, asked } = scene(async () => ANSWER)
    const delegation = await answeredWith(WORKING)
    const of = { workspaceId: delegation.workspaceId }
    for (let n = 0; n < 3; n += 1) await runner.look(of)
    expect(clock.sleepers).toBe(1)
    await endDelegation(client.db, {
      ...{ id: delegation.id, now: clock.now() },
      end: { status: 'completed', text: 'by itself' },
    })
    clock.advance(1_000)
    await runner.stop()
    expect(asked).toEqual([])
  })

  it('has half an hour all the same', async () => {
    const { runner, clock, asked } = scene(async () => ANSWER)
    const delegation = await answeredWith(WORKING)
    const of = { workspaceId: delegation.workspaceId }
    await runner.look(of)
    expect(clock.sleepers).toBe(1)
    // By a pass of another replica, whose time does not wake who follows it here.
    const other = scene(async () => ANSWER)
    other.clock.advance(31 * 60_000)
    await other.runner.look(of)
    expect(await errorOf(delegation)).toMatch(/30 minutes/)
    clock.advance(1_000)
    await runner.stop()
    expect(asked).toEqual([])
  })
})

describe('a workspace that delegates without end', () => {
  async function newDelegations(count: number): Promise<Delegation[]> {
    const { workspaceId, targetId, task } = await newDelegation()
    const many = Array.from({ length: count }, async () => {
      const fresh = { id: randomUUID(), workspaceId, targetId, task, isRecorded: false }
      const now = new Date()
      return await insertDelegation(client.db, { ...fresh, idempotencyKey: null, now })
    })
    return (await Promise.all(many)).flatMap((begun) => begun?.delegation ?? [])
  }

  it('leaves room for the others', async () => {
    const never = Promise.withResolvers<GatewayAnswer>()
    const { runner, calls } = scene(() => never.promise)
    for (const delegation of await newDelegations(60)) runner.run(delegation)
    await eventually(() => calls() === 50)
    const other = await newDelegation()
    runner.run(other)
    await eventually(() => calls() === 51)
    expect(await statusOf(other)).toBe('dispatched')
    never.resolve(ANSWER)
  })

  it('leaves room for the others’ tasks', async () => {
    const { runner, clock } = scene(async () => ANSWER)
    const delegations = await newDelegations(60)
    await Promise.all(delegations.map((delegation) => answered(delegation, WORKING)))
    for (const workspaceId of new Set(delegations.map((each) => each.workspaceId))) {
      await runner.look({ workspaceId })
    }
    expect(clock.sleepers).toBe(50)
    const other = await newDelegation()
    await answered(other, WORKING)
    await runner.look({ workspaceId: other.workspaceId })
    expect(clock.sleepers).toBe(51)
  })
})
