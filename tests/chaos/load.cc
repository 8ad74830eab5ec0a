#include "tests/chaos/load.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

namespace fanfare::chaos {

std::vector<std::string> to_words(const Load& load) {
  std::vector<std::string> words{
      fmt::format("rate={}", load.rate),
      fmt::format("seconds={}", load.seconds),
      fmt::format("first_tag={}", load.first_tag),
      fmt::format("seed={}", load.seed),
      fmt::format("delay_ms={}", load.delay_ms),
      fmt::format("ordering_keys={}", load.ordering_keys),
      fmt::format("deduplication_keys={}", load.deduplication_keys),
      fmt::format("timeout_seconds={}", load.timeout_seconds),
      fmt::format("data_bytes={}", load.data_bytes),
      fmt::format("clients={}", load.clients),
  };
  for (const auto& [verb, share] : load.mix) words.push_back(fmt::format("mix={}*{}", share, verb));
  return words;
}

Result<Load> load_from_words(const std::vector<std::string>& words) {
  Load load;
  load.mix.clear();
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return reject("'" + word + "' is not name=value");
    const std::string name = word.substr(0, equals), value = word.substr(equals + 1);
    const double number = std::atof(value.c_str());
    const std::uint64_t whole = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "rate") {
      load.rate = number;
    } else if (name == "seconds") {
      load.seconds = number;
    } else if (name == "first_tag") {
      load.first_tag = whole;
    } else if (name == "seed") {
      load.seed = whole;
    } else if (name == "delay_ms") {
      load.delay_ms = whole;
    } else if (name == "ordering_keys") {
      load.ordering_keys = static_cast<std::uint32_t>(whole);
    } else if (name == "deduplication_keys") {
      load.deduplication_keys = static_cast<std::uint32_t>(whole);
    } else if (name == "timeout_seconds") {
      load.timeout_seconds = number;
    } else if (name == "data_bytes") {
      load.data_bytes = static_cast<std::uint32_t>(whole);
    } else if (name == "clients" && whole > 0) {
      load.clients = static_cast<std::uint32_t>(whole);
    } else if (name == "mix" && value.find('*') != std::string::npos) {
      load.mix.emplace_back(value.substr(value.find('*') + 1), number);
    } else {
      return reject("a load has no '" + name + "'");
    }
  }
  if (load.mix.empty()) load.mix.emplace_back("ok", 1);
  return load;
}

void read_submissions(const std::string& file, std::vector<Submission>& submissions) {
  std::ifstream in(file);
  std::unordered_map<std::uint64_t, std::size_t> at;
  const auto of = [&](std::uint64_t number) -> Submission& {
    const auto [found, is_new] = at.emplace(number, submissions.size());
    if (is_new) submissions.emplace_back();
    return submissions[found->second];
  };
  for (std::string line; std::getline(in, line) && !in.eof();) {
    std::istringstream words(line);
    char kind = 0;
    std::uint64_t number = 0;
    std::int64_t at_ns = 0;
    words >> kind >> number >> at_ns;
    Submission& one = of(number);
    if (kind == 'i') {
      one.invoked_ns = at_ns;
      words >> one.tag >> one.ordering_key >> one.position >> one.deduplication_key >>
          one.not_before_ns;
      if (one.ordering_key == "-") one.ordering_key.clear();
      if (one.deduplication_key == "-") one.deduplication_key.clear();
      continue;
    }
    one.answered_ns = at_ns;
    if (kind == 'a') {
      std::string id;
      int duplicate = 0;
      words >> id >> one.functions >> duplicate;
      const auto parsed = protocol::parse_event_id(id);
      if (!parsed) throw std::runtime_error(parsed.error().message);
      one.id = *parsed;
      one.fate = duplicate ? Submission::Fate::kDuplicate : Submission::Fate::kAccepted;
    } else if (kind == 'r') {
      one.fate = Submission::Fate::kRefused;
    } else if (kind == 'u') {
      one.fate = Submission::Fate::kUnknown;
    } else {
      throw std::runtime_error(file + " has a line that begins with '" + kind + "'");
    }
  }
}

void read_executions(const std::string& file, std::vector<Execution>& executions) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::unordered_map<std::uint64_t, std::size_t> by_nonce;
  for (std::size_t at = 0; at + sizeof(ExecutionRecord) <= bytes.size();
       at += sizeof(ExecutionRecord)) {
    ExecutionRecord record;
    std::memcpy(&record, bytes.data() + at, sizeof record);
    if (record.magic != ExecutionRecord::kMagic) throw std::runtime_error(file + " is torn");
    if (record.kind == ExecutionRecord::kBegan) {
      by_nonce[record.nonce] = executions.size();
      Execution& one = executions.emplace_back();
      one.id = {{record.entry_ms, record.entry_seq}, static_cast<std::uint8_t>(record.index)};
      one.tag = record.tag;
      one.attempt = record.attempt;
      one.instance = record.instance;
      one.worker = record.worker;
      one.nonce = record.nonce;
      one.began_ns = record.at_ns;
      continue;
    }
    const auto found = by_nonce.find(record.nonce);
    if (found == by_nonce.end()) throw std::runtime_error(file + " has an end without beginning");
    executions[found->second].ended_ns = record.at_ns;
    executions[found->second].failed = record.kind == ExecutionRecord::kFailed;
  }
}

void read_tokens(const std::string& file, std::vector<Execution>& executions) {
  std::ifstream in(file, std::ios::binary);
  struct Named {
    std::int32_t worker = 0;
    std::int64_t at_ns = 0;
    protocol::AttemptToken token;
  };
  std::unordered_map<protocol::EventId, std::vector<Named>> named;  // in time's order
  for (TokenRecord one; in.read(reinterpret_cast<char*>(&one), sizeof one);) {
    if (one.magic != TokenRecord::kMagic) throw std::runtime_error(file + " is torn");
    named[{{one.entry_ms, one.entry_seq}, static_cast<std::uint8_t>(one.index)}].push_back(
        {one.worker, one.at_ns, {one.token}});
  }
  for (Execution& execution : executions) {
    const auto found = named.find(execution.id);
    if (found == named.end()) continue;
    for (const Named& one : found->second) {
      if (one.worker == execution.worker && one.at_ns <= execution.began_ns) {
        execution.token = one.token;
      }
    }
  }
}

std::vector<BirthRecord> read_births(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<BirthRecord> births;
  for (BirthRecord one; in.read(reinterpret_cast<char*>(&one), sizeof one);) {
    if (one.magic != BirthRecord::kMagic) throw std::runtime_error(file + " is torn");
    births.push_back(one);
  }
  return births;
}

}  // namespace fanfare::chaos
