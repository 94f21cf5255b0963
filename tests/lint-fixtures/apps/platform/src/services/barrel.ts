export { one } from './one.ts' // ! lint/performance/noBarrelFile
