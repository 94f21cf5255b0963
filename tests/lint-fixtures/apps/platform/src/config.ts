import process from 'node:process'

export const home = process.env.HOME
