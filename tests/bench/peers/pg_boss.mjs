// pg-boss under the work of workload.mjs. For the queue that is drained: fetch and complete, in hundreds, as its API
// documents for batches. Otherwise: many `work` with batches, at the shortest polling interval that it allows (0.5 s).

import PgBoss from 'pg-boss'

import { Workload } from './workload.mjs'

const QUEUE = 'job'
const BATCH = 100
const FETCHING = 4
const WORKERS = 64

const workload = await Workload.begin()
const boss = new PgBoss({ ...workload.order.database, max: 20 })
boss.on('error', (error) => { throw error })
await boss.start()
await boss.createQueue(QUEUE)

async function drain() {
  for (;;) {
    const jobs = await boss.fetch(QUEUE, { batchSize: BATCH })
    if (!jobs.length) return
    for (const job of jobs) workload.handled(job.data)
    await boss.complete(QUEUE, jobs.map((job) => job.id))
  }
}

async function work() {
  if (workload.order.mode === 'drain') {
    for (let n = 0; n < FETCHING; n++) drain()
    return
  }
  for (let n = 0; n < WORKERS; n++) {
    await boss.work(QUEUE, { batchSize: BATCH, pollingIntervalSeconds: 0.5 }, async (jobs) => {
      for (const job of jobs) workload.handled(job.data)
    })
  }
}

await workload.run({
  enqueue: (job) => boss.send(QUEUE, job),
  enqueueMany: (jobs) => boss.insert(jobs.map((data) => ({ name: QUEUE, data }))),
  work,
  unfinished: () => boss.getQueueSize(QUEUE, { before: 'completed' })
})
