#include "tests/perf/pattern_corpus.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace fanfare::perf {
namespace {

std::vector<std::string> lines_of(const std::string& folder, const char* name, std::size_t most) {
  std::vector<std::string> lines;
  std::ifstream file(folder + "/tests/perf/patterns/" + name);
  for (std::string line; lines.size() < most && std::getline(file, line);) lines.push_back(line);
  if (!lines.empty()) return lines;
  std::fprintf(stderr, "there is no %s/tests/perf/patterns/%s\n", folder.c_str(), name);
  std::exit(2);
}

}  // namespace

std::vector<std::string> corpus_events(const std::string& folder) {
  std::vector<std::string> packed;
  for (const std::string& line : lines_of(folder, "events.jsonl", 1'000'000)) {
    const auto json = nlohmann::json::parse(line);
    protocol::Event event;
    event.type = json.at("type").get<std::string>();
    event.source = json.at("source").get<std::string>();
    event.subject = json.at("subject").get<std::string>();
    // As it is written, keys in their order.
    const std::string key = R"("data":)";
    const std::size_t from = line.find(key) + key.size();
    event.data = line.substr(from, line.size() - 1 - from);
    packed.push_back(protocol::pack(event));
  }
  return packed;
}

protocol::Matcher corpus_matcher(const std::string& folder, std::size_t count) {
  protocol::Matcher matcher;
  std::uint32_t number = 0;
  for (const std::string& line : lines_of(folder, "patterns.jsonl", count)) {
    const auto pattern = protocol::compile_pattern(line);
    if (!pattern) {
      std::fprintf(stderr, "%s\n", pattern.error().message.c_str());
      std::exit(2);
    }
    matcher.add(*pattern, number++);
  }
  return matcher;
}

std::size_t match_all(protocol::Matcher& matcher, const std::vector<protocol::EventView>& events) {
  std::size_t subscribers = 0;
  for (const protocol::EventView& event : events) {
    subscribers += matcher.match(event).subscribers.size();
  }
  return subscribers;
}

}  // namespace fanfare::perf
