// What measured.h is to clients in C, for those on Node: payload, function, record, arguments.
import fs from "node:fs";

const kPayloadBytes = 200;
const kResultBytes = 64;
const kTogether = 500; // events added by one call

export const now = () => process.hrtime.bigint(); // CLOCK_MONOTONIC

export function payload(index, pauseUs, stamp = now()) {
  return `${index} ${stamp} ${pauseUs} `.padEnd(kPayloadBytes, "x");
}

export function append(fd, index, at, stamp) {
  const record = Buffer.allocUnsafe(24);
  record.writeBigInt64LE(BigInt(index), 0);
  record.writeBigInt64LE(at, 8);
  record.writeBigInt64LE(stamp, 16);
  fs.writeSync(fd, record);
}

export async function execute(fd, text) {
  const at = now();
  const [index, stamp, pauseUs] = text.split(" ", 3);
  if (pauseUs !== "0") await new Promise((done) => setTimeout(done, Number(pauseUs) / 1000));
  append(fd, index, at, BigInt(stamp));
  return index.padEnd(kResultBytes, "x");
}

// Two batches under way; at a rate each event by itself, none waiting for another's answer.
async function publish(client, first, count, rate, pauseUs) {
  const began = now();
  const running = new Set();
  const start = (answer) => {
    const one = answer.then(() => running.delete(one));
    running.add(one);
  };
  for (let sent = 0; sent < count; ) {
    if (rate > 0) {
      const due = began + BigInt(Math.round((sent * 1e9) / rate));
      const ahead = Number(due - now()) / 1e6;
      if (ahead > 0) await new Promise((done) => setTimeout(done, ahead));
    } else if (running.size >= 2) {
      await Promise.race(running);
      continue;
    }
    const together = rate > 0 ? 1 : Math.min(kTogether, count - sent);
    start(client.add(Array.from({ length: together }, (_, i) => payload(first + sent + i, pauseUs))));
    sent += together;
  }
  await Promise.all(running);
  console.log(JSON.stringify({ acknowledged: count, first_ns: Number(began), last_ns: Number(now()) }));
}

async function call(client, first, count, file) {
  const fd = fs.openSync(file, "a");
  for (let i = 0; i < count; ++i) {
    const stamp = now();
    await client.call(payload(first + i, 0, stamp));
    append(fd, first + i, now(), stamp);
  }
}

// `client` has publisher(), caller() and work(fd), see bullmq.mjs.
export async function main(client) {
  const [, , address, verb, ...rest] = process.argv;
  if (verb === "publish") {
    await publish(await client.publisher(address), ...rest.map(Number));
  } else if (verb === "call") {
    await call(await client.caller(address), Number(rest[0]), Number(rest[1]), rest[2]);
  } else {
    return client.work(address, fs.openSync(rest[0], "a"));
  }
  process.exit(0);
}
