/**
 * @module The load: clients that cost next to nothing themselves. Answers are read into one reused
 * buffer and counted, never copied; what these clients can do at most is a line of the report.
 */
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'

export type Target = {
  readonly port: number
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

const READ_BUFFER_BYTES = 1024 * 1024
const HEAD_END = Buffer.from('\r\n\r\n')

type Pending = { readonly resolve: (bytes: number) => void; readonly reject: (e: Error) => void }

/** One keep-alive connection that reads answers of known length, one after the other. */
class CountingConnection {
  readonly #socket: Socket
  #head: Buffer | undefined
  #missing = 0
  #length = 0
  #pending: Pending | undefined

  private constructor(port: number) {
    const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          this.#take(buffer.subarray(0, bytes))
          return true
        },
      },
    })
    this.#socket.on('error', (error) => this.#pending?.reject(error))
    this.#socket.on('close', () => this.#pending?.reject(new Error('connection closed')))
  }

  static async open(port: number): Promise<CountingConnection> {
    const connection = new CountingConnection(port)
    await once(connection.#socket, 'connect')
    return connection
  }

  /** Resolves with the number of body bytes; rejects unless the status is 200. */
  get(target: Target): Promise<number> {
    const lines = Object.entries({ Host: `127.0.0.1:${target.port}`, ...target.headers })
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    this.#head = Buffer.alloc(0)
    this.#socket.write(`GET ${target.path} HTTP/1.1\r\n${head}\r\n`)
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
    })
  }

  close(): void {
    this.#pending = undefined
    this.#socket.destroy()
  }

  #take(slice: Buffer): void {
    if (this.#head === undefined) {
      this.#count(slice.length)
      return
    }
    this.#head = Buffer.concat([this.#head, slice])
    const end = this.#head.indexOf(HEAD_END)
    if (end === -1) return
    const text = this.#head.toString('latin1', 0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
    if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) {
      this.#pending?.reject(new Error(`unexpected answer: ${text}`))
      return
    }
    const bodyBytes = this.#head.length - end - HEAD_END.length
    this.#head = undefined
    this.#length = Number(length)
    this.#missing = this.#length
    this.#count(bodyBytes)
  }

  #count(bytes: number): void {
    this.#missing -= bytes
    if (this.#missing === 0) this.#pending?.resolve(this.#length)
  }
}

/** Downloads `requests` times over `connections` at once; the result is in MB/s (10^6 bytes). */
export async function download(
  target: Target,
  shape: { readonly connections: number; readonly requests: number },
): Promise<number> {
  const opened = await Promise.all(
    Array.from({ length: shape.connections }, () => CountingConnection.open(target.port)),
  )
  let left = shape.requests
  let bytes = 0
  const startedAt = performance.now()
  await Promise.all(
    opened.map(async (connection) => {
      while (left > 0) {
        left -= 1
        const received = await connection.get(target)
        bytes += received
      }
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  for (const connection of opened) connection.close()
  return bytes / seconds / 1e6
}

export type Upload = Target & {
  readonly method: 'POST' | 'PUT'
  /** Written in this order; the middle `times` times. */
  readonly body: { readonly first: Buffer; readonly middle: Buffer; readonly last: Buffer }
  readonly times: number
}

/** One upload; the result is in MB/s of the middle part. Rejects unless the status is 2xx. */
export async function upload(job: Upload): Promise<number> {
  const { first, middle, last } = job.body
  const startedAt = performance.now()
  const sent = request({
    host: '127.0.0.1',
    port: job.port,
    path: job.path,
    method: job.method,
    agent: false,
    headers: {
      ...job.headers,
      'content-length': first.length + middle.length * job.times + last.length,
    },
  })
  const answered = once(sent, 'response')
  sent.write(first)
  for (let index = 0; index < job.times; index += 1) {
    if (!sent.write(middle)) await Promise.race([once(sent, 'drain'), answered])
  }
  sent.end(last)
  const [response] = await answered
  let text = ''
  for await (const piece of response) text += String(piece)
  const seconds = (performance.now() - startedAt) / 1000
  if (response.statusCode < 200 || response.statusCode > 299) {
    throw new Error(`upload answered ${response.statusCode}: ${text}`)
  }
  return (middle.length * job.times) / seconds / 1e6
}
