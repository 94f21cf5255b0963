/** @module Messages of 2 KB over kept connections: as many as are answered, or so many a second. */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export type MessageTarget = {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** Times in milliseconds, and answers per second. */
export type MessageFigures = { readonly rate: number; readonly p50: number; readonly p99: number }

const CONNECTIONS = 32
const TEXT = 'm'.repeat(1_750)
const HEAD_END = Buffer.from('\r\n\r\n')
let sent = 0

/** Each of 32 connections sends the next when the last is answered. */
export async function sendClosed(target: MessageTarget, ms: number): Promise<MessageFigures> {
  const lines = await openAll(target, CONNECTIONS)
  const times: number[] = []
  const startedAt = performance.now()
  const run = async (line: Line): Promise<void> => {
    while (performance.now() - startedAt < ms) times.push(await line.exchange())
  }
  await Promise.all(lines.map(run))
  return finish(lines, times, startedAt)
}

/**
 * So many a second, whether the last is answered or not: a message that had to wait for a free
 * connection has waited, and that is counted.
 */
export async function sendOpen(
  target: MessageTarget,
  perSecond: number,
  ms: number,
): Promise<MessageFigures> {
  const lines = await openAll(target, CONNECTIONS * 4)
  const times: number[] = []
  const startedAt = performance.now()
  const total = Math.floor((perSecond * ms) / 1_000)
  let next = 0
  const run = async (line: Line): Promise<void> => {
    while (next < total) {
      const due = startedAt + (next++ * 1_000) / perSecond
      const early = due - performance.now()
      if (early > 1) await delay(early - 0.5)
      // Late by our own clock is late for the client as well.
      const late = Math.max(0, performance.now() - due - 1)
      times.push(late + (await line.exchange()))
    }
  }
  await Promise.all(lines.map(run))
  return finish(lines, times, startedAt)
}

function finish(lines: readonly Line[], times: number[], startedAt: number): MessageFigures {
  const seconds = (performance.now() - startedAt) / 1_000
  for (const line of lines) line.end()
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  return { rate: times.length / seconds, p50: at(0.5), p99: at(0.99) }
}

function openAll(target: MessageTarget, count: number): Promise<Line[]> {
  return Promise.all(Array.from({ length: count }, () => Line.open(target)))
}

class Line {
  readonly #socket: Socket
  readonly #head: string

  private constructor(socket: Socket, target: MessageTarget) {
    this.#socket = socket
    const headers = { ...target.headers, 'Content-Type': 'application/json', Host: 'bench' }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    this.#head = `POST ${target.path} HTTP/1.1\r\n${lines.join('')}`
  }

  static async open(target: MessageTarget): Promise<Line> {
    const socket = createConnection({ host: '127.0.0.1', port: target.port, noDelay: true })
    await once(socket, 'connect')
    return new Line(socket, target)
  }

  /** Milliseconds from the first byte out to the last byte in; throws on anything but a result. */
  exchange(): Promise<number> {
    const body = messageBody()
    const startedAt = performance.now()
    this.#socket.write(`${this.#head}Content-Length: ${body.length}\r\n\r\n${body}`)
    return new Promise((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0)
      const end = (error?: Error): void => {
        this.#socket.off('data', take).off('close', gone)
        if (error === undefined) resolve(performance.now() - startedAt)
        else reject(error)
      }
      const gone = (): void => end(new Error('the server closed the connection'))
      const take = (piece: Buffer): void => {
        received = received.length === 0 ? piece : Buffer.concat([received, piece])
        if (!isWhole(received)) return
        const text = received.toString('utf8')
        const isResult = text.startsWith('HTTP/1.1 200') && text.includes('"result"')
        end(isResult ? undefined : new Error(text.slice(0, 1_000)))
      }
      this.#socket.on('data', take).on('close', gone)
    })
  }

  end(): void {
    this.#socket.destroy()
  }
}

/** Never the same one twice: a repetition would be answered from memory. */
function messageBody(): string {
  sent += 1
  const messageId = `bench-${process.pid}-${sent}`
  const parts = `[{"kind":"text","text":"${TEXT}"}]`
  const message = `{"kind":"message","messageId":"${messageId}","role":"user","parts":${parts}}`
  return `{"jsonrpc":"2.0","id":"bench","method":"message/send","params":{"message":${message}}}`
}

function isWhole(bytes: Buffer): boolean {
  const end = bytes.indexOf(HEAD_END)
  if (end === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString('latin1', 0, end))?.[1]
  if (length !== undefined) return bytes.length >= end + HEAD_END.length + Number(length)
  return bytes.toString('latin1', bytes.length - 5) === '0\r\n\r\n'
}
