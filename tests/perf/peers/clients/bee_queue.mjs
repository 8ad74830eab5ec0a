// bee-queue's client: saveAll of 500, workers of 50 jobs at once, succeeded jobs and their results kept;
// events, which calls need, only where calls are made (COMPARE_CALLS). Address: the socket of Redis.
import BeeQueue from "bee-queue";
import { execute, main } from "./measured.mjs";

const calls = process.env.COMPARE_CALLS === "1";
const open = (path, options) =>
  new BeeQueue("measured", { redis: { path }, stallInterval: 5000, getEvents: false, sendEvents: calls, ...options });

await main({
  publisher(address) {
    const queue = open(address, { isWorker: false });
    return {
      async add(payloads) {
        const jobs = payloads.map((data) => queue.createJob(data));
        if (jobs.length === 1) return jobs[0].save();
        for (const error of (await queue.saveAll(jobs)).values()) throw error;
      },
    };
  },
  async caller(address) {
    const queue = open(address, { isWorker: false, getEvents: true });
    // An event may be here before save() has said which job it saved: such ends are kept.
    const waiting = new Map(), ended = new Set();
    queue.on("job succeeded", (id) => (waiting.has(id) ? waiting.get(id)() : ended.add(id)));
    await queue.ready();
    return {
      async call(payload) {
        const { id } = await queue.createJob(payload).save();
        if (!ended.delete(id)) await new Promise((done) => waiting.set(id, done));
        waiting.delete(id);
      },
    };
  },
  work(address, fd) {
    const queue = open(address, {});
    queue.on("error", () => {});
    // Not its own interval, which an error of Redis ends.
    setInterval(() => queue.checkStalledJobs().catch(() => {}), 5000);
    queue.process(50, (job) => execute(fd, job.data));
  },
});
