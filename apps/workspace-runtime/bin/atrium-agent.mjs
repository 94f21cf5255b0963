// The process around src/tool: arguments, environment, streams, exit code.

import process from 'node:process'
import { runTool } from '../src/tool/run-tool.ts'

const ended = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => ended.abort())

process.exitCode = await runTool({
  args: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
  signal: ended.signal,
})
