/** @module A runtime that all tests of a file upload to, and what they say to it. */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import type { ClientRequest } from 'node:http'
import type { StoredFile } from '@atrium/runtime-contract/file-transfer'
import { afterEach } from 'vitest'
import { type Form, type FormPart, multipartForm } from './multipart-form.ts'
import { type Answer, begin, readAnswer, send } from './raw-client.ts'
import { type RuntimeHarness, type RuntimeOptions, startRuntimeHarness } from './runtime-harness.ts'
import { runtime, shareRuntime } from './shared-runtime.ts'

/** `shareRuntime`, whose tests each find it without uploads. */
export function shareUploadRuntime(): void {
  shareRuntime()
  afterEach(() => {
    rmSync(runtime.local('/workspace/.molecule'), { recursive: true, force: true })
  })
}

/** Uploads a well-formed form of these parts. */
export function upload(parts: readonly FormPart[], to: RuntimeHarness = runtime): Promise<Answer> {
  return post(multipartForm(parts), to)
}

/** Posts the form as it is, with its length and the credential. */
export function post(form: Form, to: RuntimeHarness = runtime): Promise<Answer> {
  const headers = { authorization: `Bearer ${to.secret}`, ...form.headers }
  return send(to.ingestUrl(), { method: 'POST', headers, body: form.body })
}

/** Without a Content-Length: node sends pieces in chunked encoding. */
export async function postChunked(
  headers: Record<string, string>,
  pieces: Iterable<Buffer>,
  to = runtime,
) {
  const request = begin(to.ingestUrl(), {
    method: 'POST',
    headers: { authorization: `Bearer ${to.secret}`, ...headers },
  })
  let isAnswered = false
  const answered = once(request, 'response')
  request.once('response', () => {
    isAnswered = true
  })
  // A refusal may close the connection under what is still being sent.
  request.on('error', () => undefined)
  for (const piece of pieces) {
    if (request.destroyed || isAnswered) break
    if (!request.write(piece)) await Promise.race([drained(request), answered])
  }
  request.end()
  const [response] = await answered
  return readAnswer(response)
}

/** Also when the connection breaks: what was answered before is still to be read. */
function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    function done(): void {
      request.off('drain', done)
      request.off('close', done)
      resolve()
    }
    request.on('drain', done)
    request.on('close', done)
  })
}

/** What was stored; throws when it was refused. */
export function filesOf(answer: Answer): StoredFile[] {
  const body = JSON.parse(answer.body.toString('utf8'))
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`)
  return body.files
}

/** Runs a runtime of these options for as long as it is used. */
export async function withRuntime(
  options: RuntimeOptions,
  use: (own: RuntimeHarness) => Promise<void>,
): Promise<void> {
  const own = await startRuntimeHarness(options)
  try {
    await use(own)
  } finally {
    await own.stop()
  }
}
