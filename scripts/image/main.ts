/**
 * @module `npm run image -- platform|workspace-runtime [TAG] [options of docker build]`: builds
 * `atrium-<app>:latest` from this checkout, with the engine of `DOCKER_HOST`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { IMAGE_APPS, stageImage } from './stage-image.ts'

const ROOT = resolve(import.meta.dirname, '../..')

async function main([app = '', ...rest]: readonly string[]): Promise<number> {
  if (!IMAGE_APPS.includes(app)) {
    console.error(`usage: npm run image -- ${IMAGE_APPS.join('|')} [TAG] [docker build options]`)
    return 2
  }
  const hasTag = rest[0] !== undefined && !rest[0].startsWith('-')
  const tag = hasTag ? String(rest[0]) : `atrium-${app}:latest`
  await stageImage(app)
  const options = hasTag ? rest.slice(1) : rest
  const args = ['build', '--file', `apps/${app}/Dockerfile`, '--tag', tag, ...options, '.']
  const child = spawn('docker', args, { cwd: ROOT, stdio: 'inherit' })
  const [code]: (number | null)[] = await once(child, 'exit')
  return code ?? 1
}

process.exitCode = await main(process.argv.slice(2))
