/** @module A platform whose files routes answer as a test tells them, and `atrium files` against it. */
import { Buffer } from 'node:buffer'
import { type StandInExchange, sendJson } from '../../support/stand-in-platform.ts'
import { type CliOptions, type CliRun, cli, WORKSPACE_ID } from './cli-harness.ts'
import { platform, serve } from './served-platform.ts'

export const ROUTE = `/workspaces/${WORKSPACE_ID}`
const ENV = { ATRIUM_TOKEN: 'workspace-token-of-the-test' }

/** `atrium files <args>` against the platform of the test. */
export function files(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return cli(['--url', platform?.url ?? '', 'files', ...args], { env: ENV, ...options })
}

export const here = (path = '') => `${WORKSPACE_ID}:${path}`

export function entry(name: string, rest: Readonly<Record<string, unknown>> = {}) {
  return { name, type: 'file', size: 3, mtime: 1_700_000_000, mode: 0o644, ...rest }
}

/** The answers of a route, one after the other; the last one again and again. */
export function inTurn(...answers: readonly unknown[]): (exchange: StandInExchange) => void {
  let next = 0
  return ({ response }) => {
    sendJson(response, answers[Math.min(next, answers.length - 1)])
    next += 1
  }
}

/** One route of the workspace; anything else is a 404, as the platform has it. */
export async function serveRoute(
  route: string,
  answer: (exchange: StandInExchange) => void | Promise<void>,
) {
  const queries: Record<string, string>[] = []
  await serve((exchange) => {
    if (exchange.line !== `GET ${ROUTE}/${route}`) {
      return sendJson(exchange.response, { error: 'not found', retryable: false }, 404)
    }
    queries.push(Object.fromEntries(exchange.url.searchParams))
    return answer(exchange)
  })
  return queries
}

/** The windows of `content` as a session's download has them, `windowBytes` each. */
export function sendContent(
  { response, url }: StandInExchange,
  content: Buffer,
  { version = 'v1', windowBytes = 1000 } = {},
): void {
  const offset = Number(url.searchParams.get('offset'))
  const bytes = content.subarray(offset, offset + windowBytes)
  sendJson(response, {
    path: url.searchParams.get('path'),
    size: content.length,
    offset,
    truncated: bytes.length < content.length,
    content_base64: bytes.toString('base64'),
    version,
  })
}

/** A window of `text` as a preview has it; `null` for a binary file. */
export function preview(text: string | null, rest: Readonly<Record<string, unknown>> = {}) {
  const size = Buffer.byteLength(text ?? 'binary')
  return {
    path: '/workspace/a',
    size,
    offset: 0,
    next_offset: size,
    truncated: false,
    binary: text === null,
    encoding: text === null ? null : 'utf-8',
    text,
    lines: text === null ? null : text.split('\n').length,
    version: 'v1',
    ...rest,
  }
}
