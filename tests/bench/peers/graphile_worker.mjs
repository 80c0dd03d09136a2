// Graphile Worker under the work of workload.mjs, with the settings of its page on performance: 24 jobs at a time, 25
// connections, and, unless the order says that a batch is of one, a local queue of 500 and completions in batches.

import { Logger, run, runMigrations, makeWorkerUtils } from 'graphile-worker'
import pg from 'pg'

import { Workload } from './workload.mjs'

const workload = await Workload.begin()
const silent = new Logger(() => () => {})
const pgPool = new pg.Pool({ ...workload.order.database, max: 25 })
const fail = (error) => { throw error }
pgPool.on('error', fail)
pgPool.on('connect', (client) => client.on('error', fail))
await runMigrations({ pgPool, logger: silent })
const utils = await makeWorkerUtils({ pgPool, logger: silent })

const batching = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }

async function work() {
  await run({
    pgPool,
    logger: silent,
    noHandleSignals: true,
    preset: {
      worker: {
        concurrentJobs: 24,
        maxPoolSize: 25,
        ...(workload.order.batch > 1 ? batching : {})
      }
    },
    taskList: { job: async (payload) => workload.handled(payload) }
  })
}

await workload.run({
  enqueue: (payload) => utils.addJob('job', payload),
  enqueueMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: 'job', payload }))),
  work,
  unfinished: async () => (await pgPool.query('select from graphile_worker._private_jobs limit 1')).rowCount
})
