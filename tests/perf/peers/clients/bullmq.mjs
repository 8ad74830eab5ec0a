// BullMQ's client: addBulk of 500, workers of 50 jobs at once, completed jobs and their results kept.
// A dead worker's jobs are found after 5 s (the default is 30). Address: the socket of Redis.
import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import { execute, main } from "./measured.mjs";

const connect = (path) => new Redis({ path, maxRetriesPerRequest: null });
const job = (data) => ({ name: "measured", data });

await main({
  publisher(address) {
    const queue = new Queue("measured", { connection: connect(address) });
    return { add: (payloads) => (payloads.length > 1 ? queue.addBulk(payloads.map(job)) : queue.add("measured", payloads[0])) };
  },
  async caller(address) {
    const queue = new Queue("measured", { connection: connect(address) });
    const events = new QueueEvents("measured", { connection: connect(address) });
    await events.waitUntilReady();
    return { call: async (payload) => (await queue.add("measured", payload)).waitUntilFinished(events, 10000) };
  },
  work(address, fd) {
    const options = { connection: connect(address), concurrency: 50, lockDuration: 5000, stalledInterval: 5000 };
    new Worker("measured", (one) => execute(fd, one.data), options).on("error", () => {});
  },
});
