// What `--help` prints, by the name of the command. Plain JavaScript for Node >= 20, no
// dependencies: it is there before anything is installed.

const PLATFORM_SETTINGS = `
Settings are environment variables, for example: PORT=9000 npm start
  PORT             where it listens (8080); 0 takes a free port
  DATABASE_URL     a PostgreSQL of yours, postgres://... (an embedded one)
  ATRIUM_DATA_DIR  embedded database, workspaces, logs, generated key (.atrium)
  ADMIN_TOKEN      closes the admin scope (open, on loopback only); required in production
  ATRIUM_MODE      development or production (development); production requires DATABASE_URL,
                   ADMIN_TOKEN and ATRIUM_ENCRYPTION_KEY
All of them: docs/configuration.md
`

export const HELP = {
  start: `Usage: npm start

Starts the platform on http://127.0.0.1:8080, with an embedded PostgreSQL and with workspaces as
processes of this machine. Installs what is missing first. Ctrl-C stops everything it started.
${PLATFORM_SETTINGS}`,

  dev: `Usage: npm run dev

Does what npm start does, and starts the platform again whenever one of its sources changes.
${PLATFORM_SETTINGS}`,

  soak: `Usage: npm run soak -- [--minutes 10] [--workspaces 200] [--replicas 2] [--pace 1] [--settle 240] [--seed N]

Starts a PostgreSQL, several platforms on it and a small control plane that runs each workspace as a
process of its own; then kills platforms and workspaces at random while it creates, pauses, resumes,
restarts, hibernates and removes some. At the end everything the platform says is compared with the
processes themselves. Exits with 1 when anything is not as it says. Takes 16 MiB per workspace.

       npm run soak -- a2a [--minutes 10] [--workspaces 20] [--messages 5000] [--replicas 2] [--pace 1]
                           [--settle 180] [--seed N] [--kinds push,idempotent,busy,crashing,poll]

Sends messages to agents of every kind while platforms, agents and connections to the database are
killed at random. At the end every message has ended once, and its sender knows how: answered, or
failed for a reason; what the agents have carried out is compared with it.

One setting, an environment variable:
  DATABASE_URL     a PostgreSQL on which databases may be created (an embedded one)
`,

  test: `Usage: npm test [-- STAGE...]

Runs the named stages, or all of them, even when one fails; the last line counts the tests. Installs
what is missing first.
Stages: format, lint, types, unit, integration, contract, e2e, audit

One setting, an environment variable:
  DATABASE_URL     a PostgreSQL on which databases may be created (an embedded one)
Single files, and everything else about tests: CONTRIBUTING.md. What the platform reads from its
environment: docs/configuration.md
`,
}
