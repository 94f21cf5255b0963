/**
 * @module The version of the platform-to-runtime contract: one integer, raised when either side may
 * rely on something new. History (append only):
 *   1  2026-11-21  upload ingest, file read, registration, heartbeat, inbound secret by heartbeat.
 */
export const CONTRACT_VERSION = 1
