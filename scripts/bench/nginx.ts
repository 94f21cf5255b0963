/** @module The peer: nginx in front of nginx, both tuned for large bodies, both on loopback. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { Child } from './child.ts'

const BINARY = '/usr/sbin/nginx'

export type Nginx = {
  /** Forwards to the origin. */
  readonly frontPort: number
  /** Serves `/<name>`, takes PUT `/put/<name>`. */
  readonly originPort: number
  /** Makes a file of this machine available as `/<name>`. */
  publish(name: string, file: string): void
  end(): Promise<void>
}

/** Whether nginx is there; tries apt-get when it is not and this is root. */
export function ensureNginx(): boolean {
  if (existsSync(BINARY)) return true
  if (process.getuid?.() !== 0) return false
  try {
    // A package script that starts its service would bind port 80: policy-rc.d forbids it.
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'nginx-light'], {
      stdio: 'ignore',
      env: environment,
      timeout: 120_000,
    })
  } catch {
    // No network or no Debian: the report says that the peer is missing.
  }
  return existsSync(BINARY)
}

export async function startNginx(folder: string): Promise<Nginx> {
  const root = join(folder, 'root')
  for (const path of [root, join(root, 'put')]) mkdirSync(path, { recursive: true })
  if (process.getuid?.() === 0) chmodSync(folder, 0o755)
  const [originPort, frontPort] = [await freePort(), await freePort()]
  const origin = start(folder, 'origin', originServer(originPort, root))
  const front = start(folder, 'front', frontServer(frontPort, originPort))
  await origin.until('nginx origin listens', () => isListening(originPort))
  await front.until('nginx front listens', () => isListening(frontPort))
  return {
    frontPort,
    originPort,
    publish: (name, file) => symlinkSync(file, join(root, name)),
    async end() {
      await Promise.all([front.end(), origin.end()])
    },
  }
}

/** An agent that answers every message with `answer`, and a hop in front of it that only passes on. */
export async function startMessagePeer(
  folder: string,
  answer: string,
): Promise<Pick<Nginx, 'frontPort' | 'originPort' | 'end'>> {
  mkdirSync(folder, { recursive: true })
  if (process.getuid?.() === 0) chmodSync(folder, 0o755)
  const [originPort, frontPort] = [await freePort(), await freePort()]
  const agent = `server {
    listen 127.0.0.1:${originPort};
    location / { default_type application/json; return 200 '${answer}'; }
  }`
  const origin = start(folder, 'agent', agent)
  const front = start(folder, 'message-front', frontServer(frontPort, originPort))
  await origin.until('the agent listens', () => isListening(originPort))
  await front.until('nginx front listens', () => isListening(frontPort))
  return {
    frontPort,
    originPort,
    async end() {
      await Promise.all([front.end(), origin.end()])
    },
  }
}

function start(folder: string, name: string, server: string): Child {
  const prefix = join(folder, name)
  mkdirSync(prefix, { recursive: true })
  const config = join(prefix, 'nginx.conf')
  writeFileSync(config, configuration(prefix, server))
  return new Child(BINARY, ['-c', config, '-p', prefix, '-e', join(prefix, 'error.log')])
}

function configuration(prefix: string, server: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(prefix, kind)};`)
    .join('\n  ')
  return `
daemon off;
worker_processes auto;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${join(prefix, 'nginx.pid')};
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  ${temporary}
  ${server}
}
`
}

function originServer(port: number, root: string): string {
  return `server {
    listen 127.0.0.1:${port};
    root ${root};
    location /put/ { dav_methods PUT; }
  }`
}

function frontServer(port: number, originPort: number): string {
  return `upstream origin { server 127.0.0.1:${originPort}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffers 16 64k;
      proxy_buffer_size 64k;
      proxy_busy_buffers_size 512k;
      proxy_max_temp_file_size 0;
    }
  }`
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return address.port
}

function isListening(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(undefined))
    socket.once('close', () => socket.destroy())
    socket.once('connect', () => socket.destroy())
  })
}
