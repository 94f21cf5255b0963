import process from 'node:process'

console.log(process.env.HOME) // <- lint/suspicious/noConsole
process.exitCode = 1
process.exit()
