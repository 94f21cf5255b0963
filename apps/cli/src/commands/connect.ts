/** @module `atrium connect`: this computer answers for a workspace (docs/guides/connect.md). */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import type { CommandContext } from '../command-context.ts'
import { MessageLoop } from '../connect/answer-messages.ts'
import { Bookmark } from '../connect/bookmark.ts'
import { lockConnectFolder } from '../connect/connect-lock.ts'
import { ConnectState } from '../connect/connect-state.ts'
import { ExecAgent, endGroup } from '../connect/exec-agent.ts'
import { Feed, type FeedPlace } from '../connect/feed.ts'
import { ForwardAgent } from '../connect/forward-agent.ts'
import { messageOf } from '../connect/inbound-message.ts'
import { sweepJobs } from '../connect/job-folder.ts'
import type { LocalAgent } from '../connect/local-agent.ts'
import { PlatformLink, type TokenSource } from '../connect/platform-link.ts'
import { Presence } from '../connect/presence.ts'
import { makePrivateFolder } from '../connect/private-file.ts'
import { fixedToken, tokenInFile } from '../connect/workspace-token.ts'
import { reasonOf, usageFailure } from '../failure.ts'
import { resolveWorkspaceId } from '../platform/resolve-workspace.ts'

/** How long an answer that is ready tries to leave after the user has asked for the end. */
const LAST_SEND_MS = 10_000

export type ConnectOptions = {
  readonly exec?: string
  readonly forward?: string
  readonly tokenFile?: string
  readonly name?: string
  readonly card?: string
  readonly concurrency: number
  readonly commandTimeout?: number
  readonly fromStart: boolean
  readonly cursor?: string
  readonly once: boolean
}

/** Answers messages until interrupted, or with `--once` until none is left. */
export async function connectCommand(
  context: CommandContext,
  reference: string,
  options: ConnectOptions,
): Promise<void> {
  requireOneAgent(options)
  const card = await cardOf(context, options)
  const workspaceId = await resolveWorkspaceId(context, reference)
  const token = await tokenOf(context, workspaceId, options)
  const stateFolder = stateFolderOf(context, workspaceId)
  await makePrivateFolder(stateFolder)
  const lock = await lockConnectFolder(stateFolder, {
    pid: context.pid,
    isAlive: context.isAlive,
    uniqueName: context.ids.hex(6),
  })
  try {
    await sweepJobs(stateFolder, (pid) => endGroup(pid, 'SIGKILL'))
    const agent = agentOf(context, options, { workspaceId, stateFolder, token })
    const killAll = (): void => agent.killAll()
    context.lastResort.add(killAll)
    try {
      await answer({ context, options, workspaceId, token, stateFolder, agent, card })
    } finally {
      context.lastResort.delete(killAll)
      await agent.close()
    }
  } finally {
    await lock.release()
  }
}

type Connection = {
  readonly context: CommandContext
  readonly options: ConnectOptions
  readonly workspaceId: string
  readonly token: TokenSource
  readonly stateFolder: string
  readonly agent: LocalAgent
  readonly card: unknown
}

async function answer(connection: Connection): Promise<void> {
  const { context, options, workspaceId, token, stateFolder, agent, card } = connection
  const { client, terminal, clock, ids } = context
  const link = new PlatformLink({ client, terminal, clock, ids, token })
  const state = await ConnectState.open(stateFolder, { platform: client.address, workspaceId })
  const feed = new Feed(link, workspaceId)
  const over = new AbortController()
  const draining = AbortSignal.any([context.signal, over.signal])
  const lastSend = lastSendSignal(context)
  const presence = new Presence({
    link,
    clock,
    workspaceId,
    card,
    activeTasks: () => loop.activeTasks,
  })
  await presence.register(context.signal)
  const place = await choosePlace(connection, { state, feed })
  const bookmark = bookmarkOf(connection, link, lastSend.signal)
  const loop = new MessageLoop({
    ...{
      link,
      feed,
      state,
      place,
      bookmark,
      agent,
      clock,
      ids,
      terminal,
      workspaceId,
      stateFolder,
    },
    concurrency: options.concurrency,
    isOnce: options.once,
    draining,
    signal: lastSend.signal,
  })
  terminal.notice(`connected to ${client.origin} as ${workspaceId}; waiting for messages`)
  terminal.jsonLine({ type: 'connected', workspace_id: workspaceId })
  let presenceFailure: unknown
  const beats = presence.keepUp(draining).catch((thrown: unknown) => {
    presenceFailure = thrown
    over.abort()
  })
  try {
    await loop.run()
  } finally {
    over.abort()
    lastSend.stop()
    await beats
  }
  if (presenceFailure !== undefined) throw presenceFailure
  terminal.notice(`ended; ${loop.answered} answered`)
  terminal.jsonLine({ type: 'ended', answered: loop.answered })
}

function bookmarkOf(
  { options, workspaceId }: Connection,
  link: PlatformLink,
  signal: AbortSignal,
): Bookmark | undefined {
  const { cursor } = options
  return cursor === undefined ? undefined : new Bookmark(link, { workspaceId, cursor, signal })
}

/** Aborted a while after the user has asked for the end. */
function lastSendSignal(context: CommandContext): { signal: AbortSignal; stop: () => void } {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const onInterrupt = (): void => {
    context.terminal.notice('ending: what is being answered is finished; once more ends at once')
    timer = setTimeout(() => late.abort(), LAST_SEND_MS)
  }
  context.signal.addEventListener('abort', onInterrupt, { once: true })
  return {
    signal: late.signal,
    stop() {
      context.signal.removeEventListener('abort', onInterrupt)
      clearTimeout(timer)
    },
  }
}

/**
 * The first time it begins with what comes from now on, and says what that leaves out. A cursor of the
 * platform's counts more than what this computer remembers: another one may have gone on meanwhile.
 */
async function choosePlace(
  { context, options, workspaceId }: Connection,
  { state, feed }: { readonly state: ConnectState; readonly feed: Feed },
): Promise<FeedPlace> {
  if (options.fromStart) {
    await state.restartAt(null)
    return 'start'
  }
  if (options.cursor !== undefined) return { cursor: options.cursor }
  if (!state.isNew) return state.cursor ?? 'start'
  await state.restartAt(await feed.newest(context.signal))
  const earlier = await feed.earlier(context.signal)
  const count = earlier.filter((row) => messageOf(row, workspaceId) !== undefined).length
  const place = state.cursor ?? 'start'
  if (count === 0) return place
  const many = count === 1 ? '1 earlier message is' : `${count} earlier messages are`
  context.terminal.notice(`${many} left alone; --from-start answers what came before`)
  return place
}

function requireOneAgent({ exec, forward }: ConnectOptions): void {
  if ((exec === undefined) === (forward === undefined)) {
    throw usageFailure('give --exec or --forward: what shall answer the messages?')
  }
}

function agentOf(
  context: CommandContext,
  options: ConnectOptions,
  place: { workspaceId: string; stateFolder: string; token: TokenSource },
): LocalAgent {
  if (options.forward !== undefined) return new ForwardAgent(forwardUrl(options.forward))
  const { commandTimeout } = options
  return new ExecAgent({
    command: options.exec ?? '',
    cwd: context.cwd,
    env: withoutValue(context.childEnv, place.token.current().reveal()),
    workspaceId: place.workspaceId,
    stateFolder: place.stateFolder,
    timeoutMs: commandTimeout === undefined ? undefined : commandTimeout * 1000,
    terminal: context.terminal,
  })
}

/** The token may stand in the environment under a name that nobody knows. */
function withoutValue(env: Readonly<Record<string, string>>, secret: string) {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => !value.includes(secret)))
}

function forwardUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw usageFailure('--forward wants an http or https URL without a user name')
  }
  return url
}

async function tokenOf(
  context: CommandContext,
  workspaceId: string,
  { tokenFile }: ConnectOptions,
): Promise<TokenSource> {
  if (tokenFile !== undefined) return await tokenInFile(resolve(context.cwd, tokenFile))
  return fixedToken(await context.credentials.ofWorkspace(workspaceId))
}

/** Per platform and workspace; the name says nothing that a path may not hold. */
function stateFolderOf({ stateDir, client }: CommandContext, workspaceId: string): string {
  const platform = createHash('sha256').update(client.address).digest('hex').slice(0, 16)
  return join(stateDir, 'connect', `${workspaceId}-${platform}`)
}

async function cardOf(
  { cwd }: CommandContext,
  { card, name }: ConnectOptions,
): Promise<Record<string, unknown>> {
  const named = name === undefined ? {} : { name }
  if (card === undefined) {
    return {
      name: name ?? hostname(),
      description: 'answered by atrium connect',
      version: '1',
      skills: [],
      capabilities: { streaming: false, pushNotifications: false },
    }
  }
  const path = resolve(cwd, card)
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'))
    return { ...z.record(z.string(), z.unknown()).parse(content), ...named }
  } catch (thrown) {
    const isContent = thrown instanceof SyntaxError || thrown instanceof z.ZodError
    const reason = isContent ? 'it is no JSON object' : reasonOf(thrown)
    throw usageFailure(`cannot use the card in ${path}: ${reason}`)
  }
}
