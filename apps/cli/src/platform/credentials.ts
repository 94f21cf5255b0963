/** @module Which credential goes with which route; nothing here is ever printed. */
import { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import type { CliConfig } from '../config.ts'
import { CliFailure, EXIT } from '../failure.ts'
import type { PlatformClient } from '../http/platform-client.ts'

const testTokenAnswer = z.looseObject({ auth_token: z.string().min(1) })

export class Credentials {
  readonly #config: CliConfig
  readonly #client: PlatformClient
  readonly #minted = new Map<string, Promise<Secret>>()

  constructor(config: CliConfig, client: PlatformClient) {
    this.#config = config
    this.#client = client
  }

  /** The admin token, or undefined: in development mode the admin routes are open. */
  forAdmin(): Secret | undefined {
    return this.#config.adminToken
  }

  /**
   * The credential for one workspace's routes: ATRIUM_TOKEN, ADMIN_TOKEN, or a token minted once
   * per invocation, which a platform in development mode allows. Throws exit 4 when there is none.
   */
  async forWorkspace(workspaceId: string): Promise<Secret> {
    const given = this.#config.workspaceToken ?? this.#config.adminToken
    if (given !== undefined) return given
    const minted = this.#minted.get(workspaceId) ?? this.#mint(workspaceId)
    this.#minted.set(workspaceId, minted)
    return await minted
  }

  /**
   * A token of the workspace itself, as the registry wants one: ATRIUM_TOKEN, or one that a platform
   * in development mode mints. Throws exit 4 when there is none.
   */
  async ofWorkspace(workspaceId: string): Promise<Secret> {
    return this.#config.workspaceToken ?? (await this.#mint(workspaceId))
  }

  async #mint(workspaceId: string): Promise<Secret> {
    let answer: unknown
    try {
      answer = await this.#client.json({
        method: 'GET',
        segments: ['admin', 'workspaces', workspaceId, 'test-token'],
        bearer: this.#config.adminToken,
      })
    } catch (thrown) {
      // 404 has two meanings here: no such workspace, or a platform that mints for nobody.
      if (!(thrown instanceof CliFailure) || thrown.facts.status !== 404) throw thrown
      if (thrown.facts.code === 'workspace_not_found' || thrown.message === 'workspace not found') {
        throw thrown
      }
      throw new CliFailure(EXIT.auth, 'this platform wants a workspace token', {
        hint: 'set ATRIUM_TOKEN (a workspace token) in the environment',
      })
    }
    const parsed = testTokenAnswer.safeParse(answer)
    if (!parsed.success) throw new CliFailure(EXIT.failed, 'the platform minted no workspace token')
    return new Secret(parsed.data.auth_token)
  }
}
