/**
 * @module A real control plane, of the size of a test (contract/platform 7.10): an HTTP server that
 * checks who asks, starts machines, and goes wrong in the ways a test asks for. It knows nothing of
 * the platform's code, and outlives any platform that a test restarts.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { recordSecret } from '../secret-ledger.ts'
import { brokenAnswer, type Fault, isBeforeEffect } from './faults.ts'
import type { Machine, MakeMachine } from './machine.ts'
import { ProcessMachine } from './process-machine.ts'

export type CallName = 'provision' | 'remove' | 'status' | 'console' | 'config'

export type ControlPlaneCall = {
  readonly name: CallName
  readonly workspaceId: string | undefined
  readonly instanceId: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, unknown>>
}

type Answer = { readonly status: number; readonly body: unknown }

export type ControlPlaneOptions = {
  /** What a machine is made of; a real runtime when absent. */
  readonly make?: MakeMachine
  readonly orgId?: string
  /** Where machines are: 127.<this>.x.y, so that several control planes do not share addresses. */
  readonly net?: number
}

const ROUTES: readonly (readonly [CallName, string, RegExp])[] = [
  ['provision', 'POST', /^\/cp\/workspaces\/(provision)$/],
  ['remove', 'DELETE', /^\/cp\/workspaces\/([^/]+)$/],
  ['status', 'GET', /^\/cp\/workspaces\/([^/]+)\/status$/],
  ['console', 'GET', /^\/cp\/admin\/workspaces\/([^/]+)\/console$/],
  ['config', 'GET', /^\/cp\/tenants\/(config)$/],
]

export class ControlPlane {
  readonly sharedSecret = mint()
  readonly adminApiToken = mint()
  readonly adminToken = mint()
  readonly orgId: string
  /** Every call so far that named a route, oldest first, refused ones too. */
  readonly calls: ControlPlaneCall[] = []
  /** Asked before every call; what it returns happens instead of, or after, the real thing. */
  fault: (call: ControlPlaneCall) => Fault | undefined = () => undefined
  /** Workspaces that were given a machine while they had another one. */
  readonly doubles: string[] = []
  /** What a tenant gets at its boot. */
  tenantConfig: unknown = {}
  readonly #make: MakeMachine
  readonly #net: number
  readonly #machines: Machine[] = []
  readonly #byKey = new Map<string, Machine>()
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else send(response, { status: 599, body: { error: String(error) } })
    })
  })

  constructor(options: ControlPlaneOptions = {}) {
    this.#make = options.make ?? ((input) => new ProcessMachine(input))
    this.#net = options.net ?? 77
    this.orgId = options.orgId ?? 'org-of-the-tests'
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  /** The variables with which a platform is started that is to use it. */
  get platformEnv(): Record<string, string> {
    return {
      ATRIUM_PROVISIONER: 'control-plane',
      CP_PROVISION_URL: this.url,
      MOLECULE_CP_SHARED_SECRET: this.sharedSecret,
      CP_ADMIN_API_TOKEN: this.adminApiToken,
      MOLECULE_ORG_ID: this.orgId,
      ADMIN_TOKEN: this.adminToken,
    }
  }

  async start(): Promise<void> {
    const listening = Promise.withResolvers<void>()
    this.#server.listen(0, '127.0.0.1', () => listening.resolve())
    await listening.promise
  }

  /** Every machine that was ever made, oldest first. */
  machines(): readonly Machine[] {
    return this.#machines
  }

  /** Those that exist, stopped ones too: what a leak would be. */
  existing(workspaceId?: string): readonly Machine[] {
    return this.#machines.filter(
      (machine) =>
        machine.state !== 'terminated' &&
        (workspaceId === undefined || machine.workspaceId === workspaceId),
    )
  }

  callsOf(name: CallName): readonly ControlPlaneCall[] {
    return this.calls.filter((call) => call.name === name)
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    this.#server.closeAllConnections()
    await Promise.all([closed.promise, ...this.existing().map((machine) => machine.terminate())])
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request)
    if (call === undefined) return send(response, { status: 404, body: { error: 'no such call' } })
    this.calls.push(call)
    const fault = this.fault(call)
    if (fault !== undefined && isBeforeEffect(fault)) return brokenAnswer(request, response, fault)
    const answer = this.#refusal(call) ?? (await this.#answer(call))
    if (fault === undefined) send(response, answer)
    else brokenAnswer(request, response, fault)
  }

  #refusal(call: ControlPlaneCall): Answer | undefined {
    const { authorization } = call.headers
    const bearers = {
      provision: this.sharedSecret,
      remove: this.sharedSecret,
      status: this.sharedSecret,
      console: this.adminApiToken,
      config: this.adminToken,
    }
    const isKnown =
      authorization === `Bearer ${bearers[call.name]}` &&
      (call.name === 'config'
        ? call.headers['x-molecule-org-id'] === this.orgId
        : call.headers['x-molecule-admin-token'] === this.adminToken)
    return isKnown ? undefined : { status: 401, body: { error: 'unauthorized' } }
  }

  #answer(call: ControlPlaneCall): Answer | Promise<Answer> {
    switch (call.name) {
      case 'provision':
        return this.#provision(call)
      case 'remove':
        return this.#remove(call)
      case 'status': {
        const machine = this.#machines.find((each) => each.instanceId === call.instanceId)
        return machine?.workspaceId === call.workspaceId && machine !== undefined
          ? { status: 200, body: { state: machine.state } }
          : NOT_FOUND
      }
      case 'console': {
        const last = this.#machines.findLast((each) => each.workspaceId === call.workspaceId)
        return last === undefined
          ? NOT_FOUND
          : { status: 200, body: { output: last.console().slice(-100_000) } }
      }
      case 'config':
        return { status: 200, body: this.tenantConfig }
    }
  }

  #provision({ body, headers }: ControlPlaneCall): Answer {
    const key = String(headers['idempotency-key'] ?? '')
    const known = this.#byKey.get(key)
    if (known !== undefined && known.state !== 'terminated') return created(known)
    const env = body['env'] as Record<string, string>
    for (const name of ['ATRIUM_AUTH_TOKEN', 'ATRIUM_INBOUND_SECRET']) {
      const value = env[name]
      // Words of other tests are no secrets; a bearer value has 43 characters.
      if (value !== undefined && value.length >= 40) recordSecret(value)
    }
    const workspaceId = String(body['workspace_id'])
    if (this.existing(workspaceId).length > 0) this.doubles.push(workspaceId)
    const number = this.#machines.length + 1
    const machine = this.#make({
      instanceId: `i-${number.toString(16).padStart(17, '0')}`,
      workspaceId,
      address: `127.${this.#net}.${number >> 8}.${number & 255}`,
      env,
    })
    this.#machines.push(machine)
    if (key !== '') this.#byKey.set(key, machine)
    return created(machine)
  }

  async #remove({ workspaceId, instanceId }: ControlPlaneCall): Promise<Answer> {
    const found = this.existing(workspaceId).filter(
      (machine) => instanceId === undefined || machine.instanceId === instanceId,
    )
    await Promise.all(found.map((machine) => machine.terminate()))
    return found.length === 0 ? NOT_FOUND : { status: 200, body: { state: 'terminated' } }
  }
}

const NOT_FOUND: Answer = { status: 404, body: { error: 'no such machine' } }

function created(machine: Machine): Answer {
  return {
    status: 201,
    body: { instance_id: machine.instanceId, private_ip: machine.address, state: machine.state },
  }
}

function mint(): string {
  const secret = randomBytes(24).toString('base64url')
  recordSecret(secret)
  return secret
}

async function readCall(request: IncomingMessage): Promise<ControlPlaneCall | undefined> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece)
  const url = new URL(request.url ?? '/', 'http://control-plane')
  for (const [name, method, pattern] of ROUTES) {
    const match = pattern.exec(url.pathname)
    if (request.method !== method || match === null) continue
    const text = Buffer.concat(pieces).toString('utf8')
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    return {
      name,
      workspaceId: name === 'provision' ? String(body['workspace_id']) : match[1],
      instanceId: url.searchParams.get('instance_id') ?? undefined,
      headers: request.headers,
      body,
    }
  }
  return undefined
}

function send(response: ServerResponse, { status, body }: Answer): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(text)
}
