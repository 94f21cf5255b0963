/**
 * @module The version of the platform-to-runtime contract: one integer, raised when either side may
 * rely on something new. History (append only):
 *   1  2026-11-21  upload ingest, file read, registration, heartbeat, inbound secret by heartbeat.
 *   2  2026-11-26  the inbound secret held before is accepted for a while after a change; which one
 *                  is held is told with the registration too.
 */
export const CONTRACT_VERSION = 2
