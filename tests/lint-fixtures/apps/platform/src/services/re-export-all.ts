export * from './one.ts' // ! lint/performance/noReExportAll lint/performance/noBarrelFile
