import process from 'node:process'

console.log(process.argv)
process.exit(1)
