/** @module What a person sees after `npm start`. */
import type { Config } from './config.ts'

/** One JSON line in production, a short guide in development. */
export function describeStart(
  config: Config,
  facts: {
    readonly url: string
    readonly logFile: string
    /** How workspaces are kept apart; empty where that is not this machine's business. */
    readonly confinement: string
  },
): string {
  if (!config.isDevelopment) return ''
  const database =
    config.database.url === undefined ? `embedded, in ${config.dataDir}` : 'DATABASE_URL'
  return [
    '',
    `  Atrium is listening on ${facts.url}`,
    '',
    `  database     ${database}`,
    `  provisioner  ${[config.provisioner, facts.confinement].filter(Boolean).join(', ')}`,
    `  log          ${facts.logFile}`,
    `  access       ${config.identity.isAdminScopeOpen ? 'open to this machine (no ADMIN_TOKEN)' : 'ADMIN_TOKEN'}`,
    '',
    '  Try, in another terminal:',
    '    npx atrium workspaces create hello --runtime echo',
    '    npx atrium send hello "hi there" --file README.md',
    '    scripts/demo.sh',
    '',
    '  Ctrl-C stops it with everything it started.',
    '',
  ].join('\n')
}
