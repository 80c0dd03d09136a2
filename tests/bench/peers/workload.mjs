// The work that every peer in Node is given; the same as workload.py, which says what the modes are.

import { createInterface } from 'node:readline'

const ENQUEUED_AT_ONCE = 100
const PAUSE_MS = 25
const LOOK_MS = 5

const now = () => performance.now()
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const say = (event, fields = {}) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')

export class Workload {
  constructor(order, input) {
    this.order = order
    this.input = input
    this.counts = false
    this.latencies = []
    this.tasks = 0
    this.waiting = 0
    this.wakeProducers = []
    this.arrival = () => {}
    this.reached = () => {}
  }

  // Reads the order.
  static async begin() {
    const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    return new Workload(JSON.parse((await input.next()).value), input)
  }

  // A handler has run.
  handled(job) {
    this.waiting -= 1
    this.wakeProducers.shift()?.()
    this.arrival()
    if (this.counts) {
      this.tasks += 1
      this.latencies.push(Math.round((now() - job.sent) * 1000))
      if (this.tasks === this.target) this.reached()
    }
  }

  // Carries out the order. `work` starts the worker; `unfinished` counts the jobs that are not completed in the database.
  async run({ enqueue, enqueueMany, work, unfinished }) {
    const { mode, jobs } = this.order
    if (mode === 'drain') {
      for (let made = 0; made < jobs; made += ENQUEUED_AT_ONCE) {
        const count = Math.min(ENQUEUED_AT_ONCE, jobs - made)
        await enqueueMany(Array.from({ length: count }, () => this.job()))
      }
      const arrived = this.nextArrival()
      this.counts = true
      this.target = jobs
      await work()
      await arrived
      this.begin()
      if (this.tasks < jobs) await new Promise((resolve) => (this.reached = resolve))
      while (await unfinished()) await sleep(LOOK_MS)
      await this.end()
    } else if (mode === 'single') {
      await work()
      for (let n = 0; n < this.order.producers; n++) this.produce(enqueue)
      await this.forATime(sleep)
    } else {
      await work()
      await this.forATime((ms) => this.oneAtATime(enqueue, ms))
    }
    await this.input.next() // until it is closed
    process.exit(0)
  }

  job() {
    return { sent: now(), note: 'x'.repeat(Math.max(this.order.payload - 40, 0)) }
  }

  nextArrival() {
    return new Promise((resolve) => (this.arrival = resolve))
  }

  async forATime(passTime) {
    await passTime(this.order.warm_up * 1000)
    this.begin()
    await passTime(this.order.seconds * 1000)
    await this.end()
  }

  begin() {
    say('begin')
    this.counts = true
    this.began = now()
  }

  async end() {
    const seconds = (now() - this.began) / 1000
    this.counts = false
    say('end')
    const result = JSON.stringify({ event: 'result', tasks: this.tasks, seconds, latencies: this.latencies })
    await new Promise((resolve) => process.stdout.write(result + '\n', resolve))
  }

  async produce(enqueue) {
    for (;;) {
      if (this.waiting >= this.order.most_waiting) await new Promise((resolve) => this.wakeProducers.push(resolve))
      this.waiting += 1
      await enqueue(this.job())
    }
  }

  async oneAtATime(enqueue, ms) {
    const until = now() + ms
    while (now() < until) {
      const arrived = this.nextArrival()
      await enqueue(this.job())
      await arrived
      await sleep(PAUSE_MS)
    }
  }
}
