// Each line is a connection string in base64; the answer is [[[host, port]], user, password, database], or null.
'use strict'

const readline = require('readline')
const ConnectionParameters = require('pg/lib/connection-parameters')

const read = (text) => {
  try {
    const found = new ConnectionParameters(text)
    const shown = (part) => (part === undefined || part === null ? null : String(part))
    return [[[shown(found.host), found.port]], shown(found.user), shown(found.password), shown(found.database)]
  } catch {
    return null
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(JSON.stringify(read(Buffer.from(line, 'base64').toString('utf8'))) + '\n')
})
