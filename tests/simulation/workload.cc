#include "tests/simulation/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fanfare::simulation {
namespace {

struct BehaviourName {
  Behaviour behaviour;
  std::string_view name;
};
constexpr std::array<BehaviourName, 7> kBehaviours{{{Behaviour::kOk, "ok"},
                                                    {Behaviour::kFail, "fail"},
                                                    {Behaviour::kRefuse, "refuse"},
                                                    {Behaviour::kCrash, "crash"},
                                                    {Behaviour::kHang, "hang"},
                                                    {Behaviour::kOversize, "oversize"},
                                                    {Behaviour::kPoison, "poison"}}};

std::uint32_t number(std::string_view text) {
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "behaviour times service_us prints"
std::string pack_script(const Script& script) {
  return fmt::format("{} {} {} {}", to_string(script.behaviour), script.times, script.service_us,
                     script.prints ? 1 : 0);
}

Script make_script(Random& random) {
  Script script;
  const std::uint64_t dice = random.below(1000);
  script.times = static_cast<std::uint32_t>(1 + random.below(3));
  if (dice < 700) {
    script.behaviour = Behaviour::kOk;
  } else if (dice < 800) {
    script.behaviour = Behaviour::kFail;
  } else if (dice < 830) {
    script.behaviour = Behaviour::kFail;
    script.times = 1000;  // for good
  } else if (dice < 860) {
    script.behaviour = Behaviour::kRefuse;
  } else if (dice < 920) {
    script.behaviour = Behaviour::kCrash;
    if (random.chance(0.2)) script.times = 1000;
  } else if (dice < 960) {
    script.behaviour = Behaviour::kHang;
  } else if (dice < 985) {
    script.behaviour = Behaviour::kOversize;
  } else {
    script.behaviour = Behaviour::kPoison;
    if (random.chance(0.3)) script.times = 1000;
  }
  script.service_us = static_cast<std::uint32_t>(random.chance(0.1) ? 5000 + random.below(25'000)
                                                                    : 20 + random.below(1500));
  script.prints = random.chance(0.1);
  return script;
}

struct Destinations {
  std::string on_success, on_failure;
};

FunctionModel model(std::string name, std::vector<std::string> types, std::uint32_t max_attempts,
                    std::uint32_t max_concurrency, bool results_stored,
                    Destinations destinations = {}) {
  FunctionModel function;
  function.on_success = std::move(destinations.on_success);
  function.on_failure = std::move(destinations.on_failure);
  function.name = std::move(name);
  function.types = std::move(types);
  function.max_attempts = max_attempts;
  function.max_concurrency = max_concurrency;
  function.results_stored = results_stored;
  std::string& toml = function.manifest;
  toml = fmt::format("name = \"{}\"\ntimeout = \"60ms\"\nkeep_alive = \"300ms\"\n", function.name);
  if (max_concurrency > 0) toml += fmt::format("max_concurrency = {}\n", max_concurrency);
  if (!function.on_success.empty()) {
    toml += fmt::format("on_success = \"{}\"\n", function.on_success);
  }
  if (!function.on_failure.empty()) {
    toml += fmt::format("on_failure = \"{}\"\n", function.on_failure);
  }
  for (const auto& type : function.types) {
    toml += fmt::format("[[on]]\npattern = '{{\"type\":[\"{}\"]}}'\n", type);
  }
  toml +=
      fmt::format("[retry]\nmax_attempts = {}\nbase = \"10ms\"\ncap = \"100ms\"\n", max_attempts);
  toml += fmt::format("[result]\nttl = \"{}\"\nmax_bytes = 4096\n", results_stored ? "24h" : "0");
  return function;
}

}  // namespace

std::string_view to_string(Behaviour behaviour) {
  return kBehaviours[static_cast<std::size_t>(behaviour)].name;
}

Workload::Workload() {
  functions_.push_back(model("plain", {"a", "both"}, 4, 0, true, {"by-name", "plain.failed"}));
  functions_.push_back(model("twin", {"b", "both"}, 3, 0, true, {"", "by-name"}));
  functions_.push_back(model("narrow", {"c"}, 3, 2, true));
  functions_.push_back(model("bare", {"d", "both", "plain.failed"}, 2, 0, false));
  functions_.push_back(model("by-name", {}, 1, 0, true));
  functions_.push_back(model("again", {"f"}, 1, 0, true, {"", "again"}));
  functions_.push_back(model("gathers", {"e"}, 3, 0, true));
  functions_.back().manifest += "[batch]\nsize = 5\nwindow = \"4ms\"\n";
  for (FunctionModel& function : functions_) function.keeps_count = function.name != "narrow";
}

std::optional<std::size_t> Workload::find(std::string_view name) const {
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    if (functions_[i].name == name) return i;
  }
  return std::nullopt;
}

FunctionSet Workload::subscribed_to(std::string_view type) const {
  FunctionSet set = 0;
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    const auto& types = functions_[i].types;
    if (std::find(types.begin(), types.end(), type) != types.end()) {
      set = static_cast<FunctionSet>(set | (1u << i));
    }
  }
  return set;
}

std::string Workload::digest(std::size_t function, std::uint32_t generation) {
  return fmt::format("{:032x}{:032x}", function + 1, generation);
}

Workload::Made Workload::make_event(Tag tag, std::int64_t now_ms, Random& random, Names names,
                                    std::optional<std::int64_t> instant_ms) const {
  static constexpr std::array<std::string_view, 8> kTypes{"a", "b", "c",    "d",
                                                          "e", "f", "both", "nobody"};
  Made made;
  made.type = kTypes[random.below(random.chance(0.1) ? 8 : 7)];
  protocol::Event event;
  event.source = "/simulation";
  event.type = made.type;
  event.subject = std::to_string(tag);
  event.content_type = "text/plain";
  event.data = pack_script(make_script(random));
  if (random.chance(large_events)) event.data += std::string(60'000, '.');
  if (random.chance(0.1)) event.options.priority = static_cast<std::uint8_t>(random.below(10));
  if (random.chance(0.15)) event.options.ordering_key = std::to_string(random.below(5));
  if (random.chance(0.1)) event.options.tenant = std::to_string(random.below(4));
  if (instant_ms) {
    event.options.deliver_at = made.not_before_ms = instant_ms;
  } else if (random.chance(0.06)) {
    event.options.delay = static_cast<std::int64_t>(1 + random.below(400));
  } else if (random.chance(0.06)) {
    event.options.deliver_at = now_ms + static_cast<std::int64_t>(random.below(400));
    made.not_before_ms = event.options.deliver_at;
  }
  if (random.chance(0.02)) {
    event.options.max_age = static_cast<std::int64_t>(1 + random.below(300));
  }
  // What no broker takes; each is refused alone.
  if (random.chance(0.005)) event.options.priority = 10;
  if (random.chance(0.005)) event.options.ordering_key = "first";
  if (names.empty() && random.chance(0.1)) names.id = fmt::format("id of {}", tag);
  if (names.empty() ? random.chance(0.1) : random.chance(0.3)) {
    names.idempotency_key = fmt::format("key of {}", tag);
  }
  event.id = names.id;
  event.options.idempotency_key = names.idempotency_key;
  made.names = std::move(names);
  made.packed = protocol::pack(event);
  if (random.chance(0.005)) made.packed.resize(random.below(made.packed.size()));
  return made;
}

std::string Workload::make_invocation(Tag tag, Random& random) const {
  protocol::Event event;
  event.source = "/simulation";
  event.type = "function.invoked";
  event.subject = std::to_string(tag);
  Script script = make_script(random);
  if (script.behaviour == Behaviour::kPoison) script.behaviour = Behaviour::kOk;
  event.data = pack_script(script);
  return protocol::pack(event);
}

std::optional<Tag> tag_of(std::string_view packed_event) {
  const auto event = protocol::view_event(packed_event);
  if (!event || event->source != "/simulation") return std::nullopt;
  return number(event->subject);
}

std::optional<Told> told_by(std::string_view packed_event) {
  constexpr std::string_view kSource = "/functions/";
  const auto event = protocol::view_event(packed_event);
  if (!event || !event->source.starts_with(kSource)) return std::nullopt;
  const auto id = protocol::parse_event_id(event->subject);
  if (!id) return std::nullopt;
  const bool of_success = event->data.find("\"condition\":\"Success\"") != std::string_view::npos;
  return Told{std::string{event->source.substr(kSource.size())}, *id, of_success,
              std::string{event->type}};
}

Script script_of(std::string_view packed_event) {
  Script script;
  const auto event = protocol::view_event(packed_event);
  if (!event || event->source != "/simulation") return script;
  std::string_view rest = event->data;
  const auto word = [&rest] {
    const std::string_view text = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    return text;
  };
  const std::string_view name = word();
  for (const auto& known : kBehaviours) {
    if (known.name == name) script.behaviour = known.behaviour;
  }
  script.times = number(word());
  script.service_us = number(word());
  script.prints = rest.starts_with('1');
  return script;
}

}  // namespace fanfare::simulation
