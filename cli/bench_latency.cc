#include "cli/bench.h"
#include "cli/bench_hops.h"
#include "cli/results.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;

struct Sent {
  std::int64_t at_ns = 0, acknowledged_ns = 0;
  std::optional<protocol::EventId> id;
};

// Publishes at a steady rate and never waits for an answer before the next event.
Result<std::vector<Sent>> publish_steadily(BenchInstallation& bench, const BenchCommand& command) {
  Loop loop;
  ZmqContext zmq;
  auto client = client::Client::open(loop, zmq, bench.broker());
  if (!client) return client.error();
  loop.run_until([&] { return (*client)->connected(); }, 5s);

  const std::string packed = bench_event(command.size);
  std::vector<Sent> sent(command.events);
  std::size_t published = 0, answered = 0;
  std::optional<Error> error;
  Timer beat(loop, [&] {
    if (published == sent.size()) return beat.stop();
    Sent& next = sent[published++];
    next.at_ns = monotonic_ns();
    auto added = (*client)->publish_packed(packed, [&](const Result<client::Receipt>& receipt) {
      ++answered;
      if (receipt) {
        next.id = receipt->id;
        next.acknowledged_ns = monotonic_ns();
      } else {
        error = receipt.error();
      }
    });
    if (!added) error = added.error();
  });
  beat.start_every(
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / command.rate)));
  loop.run_until([&] { return answered == sent.size() || error; }, 10min);
  if (error) return *error;
  return sent;
}

// What a publisher has to say of the way of its events.
std::vector<TraceFile::Record> traced(const std::vector<Sent>& sent) {
  std::vector<TraceFile::Record> records;
  for (const Sent& event : sent) {
    if (!event.id) continue;
    const auto note = [&](protocol::Hop hop, std::int64_t at_ns) {
      records.push_back({.high = event.id->entry.ms,
                         .low = event.id->entry.seq,
                         .point = static_cast<std::uint32_t>(hop),
                         .at_ns = at_ns});
    };
    note(protocol::Hop::kPublished, event.at_ns);
    note(protocol::Hop::kAcknowledged, event.acknowledged_ns);
  }
  return records;
}

}  // namespace

Result<BenchRun> measure_latency(BenchInstallation& bench, const BenchCommand& command) {
  const auto before = bench.succeeded();
  if (!before) return before.error();
  const std::int64_t started = monotonic_ns();
  const auto sent = publish_steadily(bench, command);
  if (!sent) return sent.error();
  if (auto done = bench.wait_succeeded(*before + static_cast<std::int64_t>(sent->size())); !done) {
    return done.error();
  }
  std::vector<double> latency_us;
  for (const Sent& event : *sent) {
    const auto record =
        read_result(bench.redis(), kBenchFunction, event.id.value_or(protocol::EventId{}));
    if (!record) return record.error();
    const std::int64_t entered = *record ? entered_ns((*record)->output) : 0;
    if (entered > started) latency_us.push_back(static_cast<double>(entered - event.at_ns) / 1e3);
  }
  if (latency_us.size() < sent->size())
    return reject("some results do not say when the function was entered");
  BenchRun run{.latency_us = percentiles(latency_us)};
  if (command.hops) run.hops = hop_rows(traced(*sent), TraceFile::read_all(bench.trace_folder()));
  return run;
}

}  // namespace fanfare::cli
