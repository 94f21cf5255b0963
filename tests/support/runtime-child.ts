/** @module The runtime app as a process of its own, for tests that kill it. Started by `fork`. */
import { startRuntimeHarness } from './runtime-harness.ts'

const base = process.argv[2]
if (base === undefined) throw new Error('usage: runtime-child.ts <folder of the roots>')
const runtime = await startRuntimeHarness({ base })
process.send?.({ url: runtime.url, secret: runtime.secret })
process.once('disconnect', () => runtime.stop())
