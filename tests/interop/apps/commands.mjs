// How an application's servers are started, and what tells that they are up.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { until } from './gate.mjs'

export const node = (file, ...words) => ({ command: ['node', file, ...words.map(String)] })

/** A Python that has what requirements.txt pins, or what requirements-NAME.txt does. */
export const pythonOf = (name) => `${process.env.APPS_HOME}/${name}/bin/python`
export const python = (...words) => ({ command: [pythonOf('python'), ...words.map(String)], env: { PYTHONPATH: resolve('servers') } })

export const missing = (...files) => files.find((file) => !existsSync(file))
export const chromium = () => missing('/usr/bin/chromium')
export const answers = (path) => (_, [port]) => until(path, () => fetch(`http://127.0.0.1:${port}${path}`).then(() => true, () => false))

/** What is seen of an application that opens no WebSocket. */
export const NO_SESSIONS = 'no sessions'
