/**
 * @module A workspace that misbehaves on purpose: a real server on a real socket, one named
 * misbehaviour at a time. Whatever talks to workspaces is tested against all of them.
 */
import { createServer, type Socket } from 'node:net'

type Answer = (socket: Socket, target: string) => void

const CRLF = '\r\n'

function head(status: string, ...headers: string[]): string {
  return [`HTTP/1.1 ${status}`, ...headers, '', ''].join(CRLF)
}

/** Writes `next()` again and again, as fast as the other side takes it, until the socket closes. */
function pourForever(socket: Socket, next: () => string | Buffer): void {
  const pour = (): void => {
    while (!socket.destroyed && socket.write(next())) {
      // until the kernel is full
    }
  }
  socket.on('drain', pour)
  pour()
}

const MIB = 1024 * 1024

/** Each takes over the connection when a request's head has arrived. */
const BEHAVIOURS = {
  /** Elsewhere on this very server, and to a metadata service: both would be followed by `fetch`. */
  redirect: (socket, target) => {
    const location = target === '/landed' ? 'http://169.254.169.254/' : '/landed'
    socket.end(head('302 Found', `Location: ${location}`, 'Content-Length: 0'))
  },
  'never-answers': () => {
    // The connection stays open, and that is all.
  },
  'slow-head': (socket) => {
    const timer = setInterval(() => socket.write('H'), 20)
    socket.write('HTTP/1.1 200 OK\r\nX-Slow: ')
    socket.once('close', () => clearInterval(timer))
  },
  'closes-at-once': (socket) => {
    socket.end()
  },
  'resets-at-once': (socket) => {
    socket.resetAndDestroy()
  },
  garbage: (socket) => {
    socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n')
  },
  'huge-head': (socket) => {
    socket.end(head('200 OK', `X-Huge: ${'h'.repeat(64 * 1024)}`, 'Content-Length: 0'))
  },
  'interim-flood': (socket) => {
    const many = head('103 Early Hints', 'Link: </x>').repeat(1_000)
    pourForever(socket, () => many)
  },
  'switches-protocols': (socket) => {
    socket.write(head('101 Switching Protocols', 'Upgrade: h2c', 'Connection: Upgrade'))
  },
  'bare-cr-in-header': (socket) => {
    socket.end(head('200 OK', 'Content-Disposition: x; filename="a\rSet-Cookie: b=c"'))
  },
  'two-framings': (socket) => {
    const framing = ['Content-Length: 5', 'Transfer-Encoding: chunked']
    socket.end(`${head('200 OK', ...framing)}0${CRLF}${CRLF}`)
  },
  'two-lengths': (socket) => {
    socket.end(`${head('200 OK', 'Content-Length: 5', 'Content-Length: 6')}abcde`)
  },
  'no-framing': (socket) => {
    socket.end(`${head('200 OK', 'Connection: close')}half of a fi`)
  },
  /** No chunks, so that it ends with the connection, whatever the reason of that end. */
  'unchunked-coding': (socket) => {
    socket.end(`${head('200 OK', 'Transfer-Encoding: identity')}half of a fi`)
  },
  'coding-below-chunks': (socket) => {
    const framing = 'Transfer-Encoding: gzip, chunked'
    socket.end(`${head('200 OK', framing)}3${CRLF}\x1f\x8b\x08${CRLF}0${CRLF}${CRLF}`)
  },
  'compressed-unasked': (socket) => {
    socket.end(`${head('200 OK', 'Content-Encoding: gzip', 'Content-Length: 3')}\x1f\x8b\x08`)
  },
  'length-too-long': (socket) => {
    socket.end(`${head('200 OK', 'Content-Length: 1000')}only this`)
  },
  'length-too-short': (socket) => {
    socket.write(`${head('200 OK', 'Content-Length: 4')}abcd and more than was promised`)
  },
  'bad-chunk-size': (socket) => {
    socket.end(`${head('200 OK', 'Transfer-Encoding: chunked')}5${CRLF}hello${CRLF}zz${CRLF}`)
  },
  'chunks-without-end': (socket) => {
    socket.end(`${head('200 OK', 'Transfer-Encoding: chunked')}5${CRLF}hello${CRLF}`)
  },
  'resets-mid-body': (socket) => {
    socket.write(head('200 OK', `Content-Length: ${MIB}`))
    socket.write(Buffer.alloc(64 * 1024, 'r'), () => socket.resetAndDestroy())
  },
  'stalls-mid-body': (socket) => {
    socket.write(`${head('200 OK', 'Content-Length: 1000')}and then nothing`)
  },
  'endless-body': (socket) => {
    socket.write(head('200 OK', 'Transfer-Encoding: chunked'))
    const chunk = Buffer.concat([
      Buffer.from(`10000${CRLF}`),
      Buffer.alloc(64 * 1024, 'e'),
      Buffer.from(CRLF),
    ])
    pourForever(socket, () => chunk)
  },
  /** A second answer that nobody asked for, at once: meant for whoever uses the connection next. */
  'answers-twice': (socket, target) => {
    const answer = (text: string): string =>
      `${head('200 OK', `Content-Length: ${text.length}`)}${text}`
    socket.write(answer(target) + answer('poison'))
  },
  /** The same, when the connection is idle again. */
  'answers-ahead': (socket, target) => {
    socket.write(`${head('200 OK', `Content-Length: ${target.length}`)}${target}`)
    setTimeout(() => socket.write(`${head('200 OK', 'Content-Length: 6')}poison`), 20)
  },
  /** Answers the first request of a connection, and closes when a second one comes on it. */
  'drops-kept-connections': (socket) => {
    const isFirst = !used.has(socket)
    used.add(socket)
    if (isFirst) socket.write(`${head('200 OK', 'Content-Length: 2')}ok`)
    else socket.resetAndDestroy()
  },
  /** As above, but the second answer had begun. */
  'drops-begun-answers': (socket) => {
    const isFirst = !used.has(socket)
    used.add(socket)
    if (isFirst) socket.write(`${head('200 OK', 'Content-Length: 2')}ok`)
    else socket.write('HTTP/1.1 200 OK\r\nX-', () => setTimeout(() => socket.destroy(), 50))
  },
} as const satisfies Readonly<Record<string, Answer>>

const used = new WeakSet<Socket>()

export type EvilBehaviour = keyof typeof BEHAVIOURS

/** These end by a deadline of ours and by nothing else; for all others a test can be patient. */
const ENDED_BY_DEADLINE: ReadonlySet<EvilBehaviour> = new Set([
  'never-answers',
  'slow-head',
  'stalls-mid-body',
  'endless-body',
])

/** A deadline for silence: short where a test waits for it, and else beyond a busy machine's pauses. */
export function deadlineMsFor(behaviour: EvilBehaviour): number {
  return ENDED_BY_DEADLINE.has(behaviour) ? 300 : 10_000
}

export const EVIL_BEHAVIOURS = Object.freeze(Object.keys(BEHAVIOURS)) as readonly EvilBehaviour[]

export class EvilWorkspace {
  /** What the next request gets; may be changed at any time. */
  behaviour: EvilBehaviour = 'never-answers'
  /** Request targets in the order of arrival. */
  readonly targets: string[] = []
  connectionsMade = 0
  /** What the last connection's peer has taken, the kernel's buffers included. */
  bytesWritten = 0
  readonly #open = new Set<Socket>()
  readonly #server = createServer((socket) => this.#accept(socket))

  /** Listens on a free loopback port. */
  static async start(behaviour: EvilBehaviour = 'never-answers'): Promise<EvilWorkspace> {
    const evil = new EvilWorkspace()
    evil.behaviour = behaviour
    await new Promise<void>((resolve, reject) => {
      evil.#server.once('error', reject)
      evil.#server.listen(0, '127.0.0.1', resolve)
    })
    return evil
  }

  get url(): URL {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    return new URL(`http://127.0.0.1:${address.port}`)
  }

  get openConnections(): number {
    return this.#open.size
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    for (const socket of this.#open) socket.destroy()
    await closed
  }

  #accept(socket: Socket): void {
    this.connectionsMade += 1
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    // Being cut off is what this server is for.
    socket.on('error', () => socket.destroy())
    let head = ''
    socket.on('data', (data) => {
      head += data.toString('latin1')
      while (head.includes('\r\n\r\n')) {
        const target = head.split(' ', 2)[1] ?? ''
        head = head.slice(head.indexOf('\r\n\r\n') + 4)
        this.targets.push(target)
        BEHAVIOURS[this.behaviour](socket, target)
        this.bytesWritten = socket.bytesWritten
      }
    })
    socket.on('drain', () => {
      this.bytesWritten = socket.bytesWritten
    })
  }
}
