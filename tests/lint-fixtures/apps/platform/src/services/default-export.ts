export const value = 1
export default value // <- lint/style/noDefaultExport
