import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { eventually } from '../support/eventually.ts'
import {
  baseDir,
  provideProcessProvisioner,
  provisioner,
  recordOf,
} from '../support/process-boxes.ts'
import { startedWith } from '../support/process-probe.ts'
import { never, startInput, stateOf } from './provisioner-bench.ts'

describe('process provisioner', () => {
  provideProcessProvisioner()

  describe('the box', () => {
    it('has folders of mode 0700, files of mode 0600 and no temporary file', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const root = join(baseDir, input.workspaceId)
      await eventually(() => existsSync(join(root, 'logs/runtime.log')))
      const modeOf = (name: string): string => (statSync(join(root, name)).mode & 0o777).toString(8)
      for (const name of ['', 'configs', 'workspace', 'home', 'plugins', 'logs', 'tmp']) {
        expect([name, modeOf(name)]).toEqual([name, '700'])
      }
      for (const name of ['configs/config.yaml', 'runtime.pid.json', 'logs/runtime.log']) {
        expect([name, modeOf(name)]).toEqual([name, '600'])
      }
      const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
      expect(names.filter((name) => name.endsWith('.part'))).toEqual([])
    })

    it('leads a session of its own, so that a Ctrl-C for the platform does not reach it', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const { pid } = recordOf(baseDir, input.workspaceId)
      const [, , , , groupId, sessionId] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
      expect([groupId, sessionId]).toEqual([String(pid), String(pid)])
    })

    it('has its folders closed again by a start, and its temporary files gone', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      await provisioner.stop(input)
      const root = join(baseDir, input.workspaceId)
      chmodSync(join(root, 'home'), 0o777)
      writeFileSync(join(root, 'tmp', 'left'), 'x')
      writeFileSync(join(root, `.${'a'.repeat(32)}.part`), 'half a secret')
      writeFileSync(join(root, 'home', 'kept'), 'x')
      await provisioner.start({ ...input, generation: 2 }, never())
      expect(statSync(join(root, 'home')).mode & 0o777).toBe(0o700)
      expect(readdirSync(join(root, 'tmp'))).toEqual([])
      expect(readdirSync(root).filter((name) => name.endsWith('.part'))).toEqual([])
      expect(existsSync(join(root, 'home', 'kept'))).toBe(true)
    })

    it('starts alone: what still carries its mark ends first', async () => {
      const input = startInput()
      const stray = spawn('sleep', ['600'], {
        stdio: 'ignore',
        env: { ...process.env, ATRIUM_BOX: join(baseDir, input.workspaceId) },
      })
      const exited = once(stray, 'exit')
      await provisioner.start(input, never())
      expect((await exited)[1]).toBe('SIGKILL')
    })

    it("sees nothing of the platform's environment, and no credential in environment or arguments", async () => {
      process.env['ADMIN_TOKEN'] = 'admin-token-value'
      process.env['DATABASE_URL'] = 'postgres://user:database-password@127.0.0.1/x'
      try {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        const { env, cwd } = await stateOf(endpointUrl)
        const given = startedWith(recordOf(baseDir, input.workspaceId).pid)
        expect(given).toContain(`WORKSPACE_ID=${input.workspaceId}`)
        expect(given).not.toMatch(/ADMIN_TOKEN|DATABASE_URL|admin-token-value|database-password/)
        expect(given).not.toMatch(/auth-token-value|inbound-secret-value|VITEST/)
        const root = join(baseDir, input.workspaceId)
        expect(env).toMatchObject({
          ATRIUM_ROOTS_DIR: root,
          ATRIUM_LISTEN_HOST: '127.0.0.1',
          PORT: '0',
          HOME: join(root, 'home'),
          TMPDIR: join(root, 'tmp'),
        })
        expect(cwd).toBe(join(root, 'workspace'))
      } finally {
        delete process.env['ADMIN_TOKEN']
        delete process.env['DATABASE_URL']
      }
    })

    it('lets no variable of the workspace move it elsewhere', async () => {
      const input = startInput()
      const { endpointUrl } = await provisioner.start(
        {
          ...input,
          secretEnv: {
            ATRIUM_ROOTS_DIR: new Secret('/'),
            PORT: new Secret('80'),
            WORKSPACE_ID: new Secret('other'),
            ATRIUM_LISTEN_HOST: new Secret('0.0.0.0'),
          },
        },
        never(),
      )
      expect((await stateOf(endpointUrl)).env).toMatchObject({
        ATRIUM_ROOTS_DIR: join(baseDir, input.workspaceId),
        PORT: '0',
        WORKSPACE_ID: input.workspaceId,
        ATRIUM_LISTEN_HOST: '127.0.0.1',
      })
    })

    it('inherits no descriptor of the platform', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const { pid } = recordOf(baseDir, input.workspaceId)
      const files = readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`)
      // Its own log goes through a socket: the file itself is not in its hands.
      expect(
        files.map((file) => readlinkSync(file)).filter((target) => target.includes(baseDir)),
      ).toEqual([])
    })

    it('is not listened to after it has told its port, whoever has taken it over', async () => {
      const input = startInput()
      const { endpointUrl } = await provisioner.start(input, never())
      const say = async (text: string, times: number): Promise<number> => {
        const query = new URLSearchParams({ text, times: String(times) })
        const said = (await (await fetch(`${endpointUrl}/channel?${query}`)).json()) as Said
        return said.taken
      }
      // No JSON, which Node's own channel throws where nobody can catch it; then a line without end.
      expect(await say('no message\n', 1)).toBe(11)
      let taken = 0
      for (let round = 0; round < 40; round += 1) taken += await say('x'.repeat(1024), 1024)
      // What the kernel holds, and no more.
      expect(taken).toBeLessThan(1024 ** 2)
      expect(await provisioner.isRunning(input)).toBe(true)
      await provisioner.stop(input)
    })

    it('writes no credential through a link that the workspace planted', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      await provisioner.stop(input)
      const outside = join(baseDir, 'outside')
      mkdirSync(outside)
      const configs = join(baseDir, input.workspaceId, 'configs')
      rmSync(configs, { recursive: true })
      symlinkSync(outside, configs)
      await expect(provisioner.start(input, never())).rejects.toThrow()
      expect(await refusal(provisioner.writeInboundSecret(input, new Secret('s')))).toBe('ENOTDIR')
      expect(readdirSync(outside)).toEqual([])
    })

    it('replaces a link in the place of a credential instead of following it', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const victim = join(baseDir, 'victim')
      writeFileSync(victim, 'untouched')
      const file = join(baseDir, input.workspaceId, 'configs', '.platform_inbound_secret')
      rmSync(file)
      symlinkSync(victim, file)
      await provisioner.writeInboundSecret(input, new Secret('fresh'))
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
      expect(lstatSync(file).isFile()).toBe(true)
    })
  })
})

type Said = { readonly taken: number }

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  const error = await promise.catch((caught: unknown) => caught)
  return error instanceof Error && 'code' in error ? error.code : error
}
