import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { eventually } from '../../support/eventually.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'

describe('POST /workspaces with a template', () => {
  let platform: PlatformHarness
  let folder: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'atrium-templates-'))
    platform = await startPlatformHarness({ CONFIGS_DIR: join(folder, 'templates') })
  })
  afterAll(async () => {
    await platform.stop()
    rmSync(folder, { recursive: true })
  })
  beforeEach(() => {
    rmSync(join(folder, 'templates'), { recursive: true, force: true })
    put('data-team/config.yaml', 'runtime: echo\nmodel: m-1\nrole: digs\nskills: [sql]\n')
    put('data-team/skills/sql/SKILL.md', '# SQL')
  })

  function put(path: string, content: string): string {
    const place = join(folder, 'templates', path)
    mkdirSync(dirname(place), { recursive: true })
    writeFileSync(place, content)
    return place
  }

  async function create(fields: Record<string, unknown>): Promise<string> {
    const answer = await platform.json('/workspaces', { name: 'templated', ...fields })
    expect(answer.status).toBe(201)
    return ((await answer.json()) as { id: string }).id
  }

  async function started(id: string, generation = 1) {
    return eventually(() =>
      platform.provisioner.starts.find(
        (start) => start.workspaceId === id && start.generation === generation,
      ),
    )
  }

  const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

  it('puts its files into /configs, and what the row says above its config.yaml', async () => {
    const id = await create({ template: 'data-team', runtime_config: { timeout: 7 } })
    const { configFiles, runtimeKind } = await started(id)
    expect(runtimeKind).toBe('echo')
    expect([...configFiles.keys()].toSorted()).toEqual(['config.yaml', 'skills/sql/SKILL.md'])
    expect(textOf(configFiles.get('skills/sql/SKILL.md'))).toBe('# SQL')
    expect(parse(textOf(configFiles.get('config.yaml')))).toMatchObject({
      name: 'templated',
      role: 'digs',
      runtime: 'echo',
      model: 'm-1',
      skills: ['sql'],
      runtime_config: { timeout: 7, concurrency: 1 },
    })
  })

  describe('and a restart', () => {
    async function restart(id: string, body: Record<string, unknown>): Promise<unknown> {
      const answer = await platform.json(`/workspaces/${id}/restart`, body)
      return answer.status === 200
        ? ((await answer.json()) as { config_dir: string }).config_dir
        : answer.status
    }

    const filesOf = async (id: string, generation: number) =>
      [...(await started(id, generation)).configFiles.keys()].toSorted()

    /** Nothing is asked of it any more: what was started is written down. */
    const settled = (id: string) =>
      eventually(async () => {
        const rows = await platform.client.sql`
          SELECT 1 FROM lifecycle_runs WHERE workspace_id = ${id}`
        return rows.length === 0
      })

    it('leaves the volume alone unless a template is asked for', async () => {
      const id = await create({ template: 'data-team' })
      await settled(id)
      platform.provisioner.volumes.add(id)
      expect(await restart(id, {})).toBe('existing-volume')
      expect(await filesOf(id, 2)).toEqual(['config.yaml'])
      await settled(id)
      expect(await restart(id, { rebuild_config: true })).toBe('data-team')
      expect(await filesOf(id, 3)).toEqual(['config.yaml', 'skills/sql/SKILL.md'])
      await settled(id)
      // Once: the next one is as before.
      await restart(id, {})
      expect(await filesOf(id, 4)).toEqual(['config.yaml'])
    })

    it('takes the one that is named, or of its name, or of its runtime kind', async () => {
      put('other/config.yaml', 'runtime: echo\n')
      put('other/a.txt', 'a')
      put('echo-default/config.yaml', 'runtime: echo\n')
      const id = await create({ runtime: 'echo', name: 'Data Team' })
      await started(id)
      expect(await restart(id, { template: 'other' })).toBe('other')
      expect(await filesOf(id, 2)).toEqual(['a.txt', 'config.yaml'])
      expect(await restart(id, { apply_template: true })).toBe('data-team')
      const plain = await create({ runtime: 'echo', name: 'nobody' })
      await started(plain)
      expect(await restart(plain, { apply_template: true })).toBe('echo-default')
    })

    it('fails with the reason when the template has gone, or the back-end does not answer', async () => {
      const failure = (id: string) =>
        eventually(async () => {
          const rows = await platform.client.sql`
            SELECT status_reason FROM workspaces WHERE id = ${id} AND status = 'failed'`
          return rows[0]?.['status_reason'] as string | undefined
        })
      const id = await create({ template: 'data-team' })
      await settled(id)
      rmSync(join(folder, 'templates', 'data-team'), { recursive: true })
      await restart(id, {})
      expect(await failure(id)).toMatch(/^the template of this workspace cannot be read any more/)
      const { volumeHasFile } = platform.provisioner
      platform.provisioner.volumeHasFile = () => Promise.reject(new Error('does not answer'))
      put('data-team/config.yaml', 'runtime: echo\n')
      await restart(id, {})
      await settled(id)
      platform.provisioner.volumeHasFile = volumeHasFile
      expect(await failure(id)).toBe('workspace start failed')
    })

    it('refuses one that is not there, and changes nothing', async () => {
      const id = await create({ runtime: 'echo' })
      await started(id)
      expect(await restart(id, { template: 'absent' })).toBe(400)
      expect(await restart(id, { template: '../../etc' })).toBe(400)
      expect(await restart(id, { reset: true })).toBe(400)
      const rows = await platform.client.sql`
        SELECT generation, template FROM workspaces WHERE id = ${id}`
      expect(rows[0]).toMatchObject({ generation: 1, template: null })
    })
  })

  it('lets the request decide before the template', async () => {
    const id = await create({ template: 'data-team', runtime: 'exec', model: 'm-2' })
    const { configFiles } = await started(id)
    const config = parse(textOf(configFiles.get('config.yaml')))
    expect(config).toMatchObject({ runtime: 'exec', model: 'm-2' })
  })

  it("takes a model from the template's runtime_config, and a kind of nowhere from the default", async () => {
    put('lean/config.yaml', 'runtime_config: { model: m-3 }\n')
    const { configFiles, runtimeKind } = await started(await create({ template: 'lean' }))
    expect(runtimeKind).toBe('langgraph')
    expect(parse(textOf(configFiles.get('config.yaml')))).toMatchObject({ model: 'm-3' })
  })

  it('gives the files once: a later start leaves the volume as it is', async () => {
    const id = await create({ template: 'data-team' })
    await started(id)
    platform.provisioner.volumes.add(id)
    await eventually(async () => (await platform.request(`/workspaces/${id}`)).ok)
    expect((await platform.json(`/workspaces/${id}/restart`, {})).status).toBe(200)
    const { configFiles } = await started(id, 2)
    expect([...configFiles.keys()]).toEqual(['config.yaml'])
    expect(parse(textOf(configFiles.get('config.yaml')))).toMatchObject({ skills: ['sql'] })
  })

  const refused: readonly (readonly [string, string, () => unknown])[] = [
    ['that is not there', 'missing', () => undefined],
    ['outside', '../outside', () => undefined],
    ['by an absolute path', '/etc', () => undefined],
    ['that is a file', 'data-team/config.yaml', () => undefined],
    ['without config.yaml', 'bare', () => void put('bare/x', 'x')],
    ['whose config.yaml is not YAML', 'odd', () => void put('odd/config.yaml', '{')],
    ['whose config.yaml is a list', 'odd', () => void put('odd/config.yaml', '- 1')],
    ['with a name no client could read', 'odd', () => withConfig('odd', 'a\nb')],
    ['with a credential', 'odd', () => withConfig('odd', '.auth_token')],
    ['with too much in it', 'odd', () => truncateSync(withConfig('odd', 'big'), 5 * 1024 * 1024)],
    [
      'with too many files',
      'odd',
      () => {
        for (let index = 0; index < 300; index += 1) withConfig('odd', `file-${index}`)
      },
    ],
    [
      'with a link in it',
      'odd',
      () => symlinkSync('/etc/passwd', `${withConfig('odd', 'x')}.link`),
    ],
    [
      'that is a link',
      'linked',
      () => {
        withConfig('odd', 'x')
        symlinkSync('odd', join(folder, 'templates', 'linked'))
      },
    ],
  ]
  it.each(refused)('refuses one %s, before anything is stored', async (_, template, prepare) => {
    prepare()
    const count = async () => ((await (await platform.request('/workspaces')).json()) as []).length
    const before = await count()
    // Runtime and model are given: nothing would have to be read from it (wart W23).
    const answer = await platform.json('/workspaces', {
      name: 'refused',
      template,
      runtime: 'echo',
      model: 'm',
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: 'invalid template' })
    expect(await count()).toBe(before)
  })

  it('takes a file with two names: whoever fills the folder may save space', async () => {
    linkSync(put('twice/config.yaml', 'runtime: echo\n'), join(folder, 'templates/twice/other'))
    expect((await started(await create({ template: 'twice' }))).configFiles.has('other')).toBe(true)
  })

  function withConfig(template: string, name: string): string {
    put(`${template}/config.yaml`, 'runtime: echo\n')
    return put(`${template}/${name}`, 'x')
  }
})
