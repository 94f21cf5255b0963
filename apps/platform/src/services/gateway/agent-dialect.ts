/**
 * @module Which version of the protocol a workspace's agent is spoken to in: the caller's own
 * wherever possible, so that the bytes go through untouched (contract/a2a 2.1).
 */
import { agentDialects } from '@atrium/a2a-schema/translate/card-interfaces'
import type { Clock } from '@atrium/http-kit/clock'
import type { AgentDialect } from '../../domain/task-stream.ts'
import type { Workspace } from '../find-workspace.ts'
import { cardOf } from './agent-card.ts'

export function otherDialect(dialect: AgentDialect): AgentDialect {
  return dialect === '1.0' ? '0.3' : '1.0'
}

type SpokenTo = Pick<Workspace, 'id' | 'generation' | 'agentCard'>

/** An agent that was updated in its place is asked again after this. */
const REFUSED_MS = 10 * 60_000
/** The oldest are forgotten first: what that costs is one request more. */
const MAX_REFUSALS = 10_000

/** Agents whose card promises a version that they do not know (contract/a2a 2.4). */
export class AgentDialects {
  readonly #clock: Clock
  readonly #refusals = new Map<string, { readonly dialect: AgentDialect; readonly until: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** In which version to speak to the agent for a caller who speaks `own`. */
  choose(row: SpokenTo, own: AgentDialect): AgentDialect {
    const refusal = this.#refusals.get(keyOf(row))
    if (refusal !== undefined && refusal.until > this.#clock.now().getTime()) {
      return otherDialect(refusal.dialect)
    }
    const card = cardOf(row)
    const promised = card === undefined ? new Set() : agentDialects(card)
    return promised.has(own) || !promised.has(otherDialect(own)) ? own : otherDialect(own)
  }

  /** The agent did not know a method of this version, and did one of the other. */
  noteRefusal(row: SpokenTo, dialect: AgentDialect): void {
    const key = keyOf(row)
    this.#refusals.delete(key)
    this.#refusals.set(key, { dialect, until: this.#clock.now().getTime() + REFUSED_MS })
    for (const oldest of this.#refusals.keys()) {
      if (this.#refusals.size <= MAX_REFUSALS) break
      this.#refusals.delete(oldest)
    }
  }
}

function keyOf(row: SpokenTo): string {
  return `${row.id}:${row.generation}`
}
