#include "cli/bench.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;
using Measure = Result<BenchRun> (*)(BenchInstallation&, const BenchCommand&);

struct Mode {
  const char* name;
  Measure measure;
  std::uint64_t events;          // by default
  const char* manifest;          // what the function needs beside the usual
  const char* latency;           // of what
  const char* ended_per_s = "";  // key in the JSON, if it measures that
};
constexpr Mode kModes[] = {
    {"throughput", measure_throughput, 300'000, "", "publish → acknowledged, at full load",
     "end_to_end_per_s"},
    {"delayed", measure_delayed, 200'000, "", "publish → acknowledged, at full load", "due_per_s"},
    {"backlog", measure_backlog, 200'000, "", "publish → acknowledged, at full load",
     "drained_per_s"},
    {"latency", measure_latency, 2'000, "", "publish → handler entered"},
    {"invoke", measure_invoke, 5'000, "", "invoke → answer"},
    {"cold-start", measure_cold_start, 100, "keep_alive = \"10ms\"",
     "arrival without an instance → handler entered"},
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

template <typename Get>
double median_of(const std::vector<BenchRun>& runs, Get get) {
  std::vector<double> values;
  for (const BenchRun& run : runs) values.push_back(get(run));
  return median(std::move(values));
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

ordered_json machine() {
  utsname kernel{};
  uname(&kernel);
  return {{"cpus", std::thread::hardware_concurrency()},
          {"model", cpu_model()},
          {"kernel", kernel.release}};
}

ordered_json report(const Mode& mode, const BenchCommand& command, const std::string& durability,
                    const std::vector<BenchRun>& runs, bool temporary) {
  const auto round = [](double value) { return std::round(value * 10) / 10; };
  ordered_json json{{"mode", mode.name},
                    {"events", command.events},
                    {"size", command.size},
                    {"durability", durability}};
  if (command.from_function) json["from_function"] = true;
  if (command.functions > 1) json["functions"] = command.functions;
  if (command.subscriptions > 0) json["subscriptions"] = command.subscriptions;
  if (command.queued > 0) json["queued"] = command.queued;
  if (command.workers > 1) json["workers"] = command.workers;
  const char* ended = mode.ended_per_s;
  if (*ended != 0) {
    json["publishers"] = command.publishers;
    json["publish_per_s"] = round(median_of(runs, [](const auto& r) { return r.publish_per_s; }));
    json[ended] = round(median_of(runs, [](const auto& r) { return r.end_to_end_per_s; }));
  }
  json["latency_us"] = {
      {"p50", round(median_of(runs, [](const auto& r) { return r.latency_us.p50; }))},
      {"p99", round(median_of(runs, [](const auto& r) { return r.latency_us.p99; }))},
      {"p999", round(median_of(runs, [](const auto& r) { return r.latency_us.p999; }))}};
  if (temporary) {
    const auto per_event = [&](auto share) {
      return round(median_of(runs, [&](const BenchRun& run) {
        return share(run.processor) * 1e6 / static_cast<double>(command.events);
      }));
    };
    using Time = ProcessorTime;
    json["processor_us"] = per_event([](const Time& time) { return time.all_s(); });
    json["processor_us_by"] = {
        {"publishers", per_event([](const Time& time) { return time.publishers_s; })},
        {"broker", per_event([](const Time& time) { return time.broker_s; })},
        {"worker", per_event([](const Time& time) { return time.worker_s; })},
        {"instances", per_event([](const Time& time) { return time.instances_s; })},
        {"redis", per_event([](const Time& time) { return time.redis_s; })}};
  }
  for (std::size_t i = 0; i < runs.front().hops.size(); ++i) {
    const HopRow& first = runs.front().hops[i];
    const auto p50 = median_of(runs, [i](const auto& r) { return r.hops[i].us.p50; });
    const auto p99 = median_of(runs, [i](const auto& r) { return r.hops[i].us.p99; });
    json["hops"].push_back({{"name", first.name},
                            {"p50_us", round(p50)},
                            {"p99_us", round(p99)},
                            {"events", first.events}});
  }
  json["runs"] = runs.size();
  json["machine"] = machine();
  return json;
}

void print_report(const Mode& mode, const ordered_json& json) {
  fmt::print("{}: {} events of {} bytes, {} class, median of {} runs\n", mode.name,
             json["events"].dump(), json["size"].dump(), json["durability"].get<std::string>(),
             json["runs"].dump());
  if (json.contains("publish_per_s")) {
    fmt::print("  acknowledged   {:>10.0f} events/s by {} publishers\n",
               json["publish_per_s"].get<double>(), json["publishers"].dump());
  }
  if (json.contains("end_to_end_per_s")) {
    fmt::print("  end to end     {:>10.0f} events/s, result committed\n",
               json["end_to_end_per_s"].get<double>());
  }
  if (json.contains("due_per_s")) {
    fmt::print("  once due       {:>10.0f} events/s, result committed\n",
               json["due_per_s"].get<double>());
  }
  if (json.contains("drained_per_s")) {
    fmt::print("  once resumed   {:>10.0f} events/s, result committed\n",
               json["drained_per_s"].get<double>());
  }
  const auto& latency = json["latency_us"];
  fmt::print("  latency        p50 {:.0f} µs, p99 {:.0f} µs, p99.9 {:.0f} µs ({})\n",
             latency["p50"].get<double>(), latency["p99"].get<double>(),
             latency["p999"].get<double>(),
             json.contains("from_function") ? "a function invokes → has the answer" : mode.latency);
  if (json.contains("processor_us")) {
    const auto& by = json["processor_us_by"];
    fmt::print(
        "  processor      {:>10.1f} µs an event: publishers {}, broker {}, worker {}, instances "
        "{}, "
        "Redis {}\n",
        json["processor_us"].get<double>(), by["publishers"].dump(), by["broker"].dump(),
        by["worker"].dump(), by["instances"].dump(), by["redis"].dump());
  }
  if (json.contains("hops")) {
    fmt::print("\n  {:46} {:>9} {:>9}\n", "hop", "p50, µs", "p99, µs");
    for (const auto& hop : json["hops"]) {
      if (hop["events"] == 0) continue;  // a class that has no journal
      fmt::print("  {:46} {:>8.0f} {:>8.0f}\n", hop["name"].get<std::string>(),
                 hop["p50_us"].get<double>(), hop["p99_us"].get<double>());
    }
    fmt::print("\n");
  }
  fmt::print("  machine        {} × {}, Linux {}\n", json["machine"]["cpus"].dump(),
             json["machine"]["model"].get<std::string>(),
             json["machine"]["kernel"].get<std::string>());
}

}  // namespace

Percentiles percentiles(std::vector<double>& values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    return values[std::min(index, values.size() - 1)];
  };
  return {at(0.5), at(0.99), at(0.999)};
}

std::string bench_event(std::uint64_t size, std::int64_t deliver_at_ms, const std::string& type) {
  protocol::Event event;
  event.source = "/bench";
  event.type = type;
  event.content_type = "application/octet-stream";
  event.data.assign(size, 'x');
  if (deliver_at_ms != 0) event.options.deliver_at = deliver_at_ms;
  return protocol::pack(event);
}

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

std::int64_t entered_ns(const std::string& output) {
  std::int64_t ns = 0;
  if (output.size() < sizeof ns) return 0;
  std::memcpy(&ns, output.data(), sizeof ns);
  return ns;
}

int run_bench(const Common& common, const BenchCommand& given) {
  const Mode* mode = std::find_if(std::begin(kModes), std::end(kModes),
                                  [&](const Mode& m) { return given.mode == m.name; });
  BenchCommand command = given;
  if (command.events == 0) command.events = mode->events;
  auto bench = BenchInstallation::open(common, command);
  if (!bench) return fail(common.output, bench.error());
  if (auto deployed = (*bench)->deploy(command, mode->manifest); !deployed) {
    return fail(common.output, deployed.error());
  }
  if (command.from_function) {
    if (auto deployed = (*bench)->deploy_caller(); !deployed) {
      return fail(common.output, deployed.error());
    }
  }
  if (auto queued = queue_waiting(**bench, command); !queued) {
    return fail(common.output, queued.error());
  }
  BenchCommand warm_up = command;
  warm_up.events = std::max<std::uint64_t>(command.events / 20, 10);
  if (auto run = mode->measure(**bench, warm_up); !run) return fail(common.output, run.error());
  std::vector<BenchRun> runs;
  for (std::uint32_t i = 0; i < command.runs; ++i) {
    const ProcessorTime before = processor_time(getpid());
    auto run = mode->measure(**bench, command);
    if (!run) return fail(common.output, run.error());
    run->processor = processor_time(getpid()).since(before);
    runs.push_back(*run);
  }
  const ordered_json json =
      report(*mode, command, (*bench)->durability(), runs, (*bench)->temporary());
  if (common.output.json) {
    print_line(json.dump());
  } else {
    print_report(*mode, json);
  }
  return kDone;
}

}  // namespace fanfare::cli
