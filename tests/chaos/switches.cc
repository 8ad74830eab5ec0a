#include "tests/chaos/switches.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "protocol/ids.h"
#include "tests/chaos/execution_log.h"

namespace fanfare::chaos {
namespace {

struct DieAt {
  std::string place;
  std::uint64_t passing = 0, stall_ms = 0;
};
struct FirstAt {
  std::string place, file;
};
struct Leak {
  std::string place;
  std::uint64_t descriptors = 0, bytes = 0;
};

// "place:number:number".
bool read_place(std::string_view text, std::string& place, std::uint64_t& one,
                std::uint64_t& another) {
  const std::size_t first = text.find(':'), second = text.find(':', first + 1);
  const auto read = [](std::string_view digits, std::uint64_t& value) {
    return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc{};
  };
  if (first == std::string_view::npos || second == std::string_view::npos) return false;
  place = text.substr(0, first);
  return read(text.substr(first + 1, second - first - 1), one) &&
         read(text.substr(second + 1), another);
}

Result<DieAt> parse_die_at(std::string_view text) {
  DieAt plan;
  if (!read_place(text, plan.place, plan.passing, plan.stall_ms) || plan.passing == 0) {
    return reject(fmt::format("{}: '{}' is not place:passing:stall_ms", kDieAtVariable, text));
  }
  return plan;
}

Result<Leak> parse_leak(std::string_view text) {
  Leak leak;
  if (!read_place(text, leak.place, leak.descriptors, leak.bytes)) {
    return reject(fmt::format("{}: '{}' is not place:descriptors:bytes", kLeakVariable, text));
  }
  return leak;
}

// "worker.attempt.sent.1795-0.3/4097"
void write_token(int fd, std::string_view place) {
  constexpr std::string_view kPlace = "worker.attempt.sent.";
  if (!place.starts_with(kPlace)) return;
  place.remove_prefix(kPlace.size());
  const std::size_t slash = place.find('/');
  const auto id = protocol::parse_event_id(place.substr(0, slash));
  if (!id || slash == std::string_view::npos) _exit(kDiedAtPlace + 1);
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  TokenRecord record{.worker = getpid(),
                     .entry_ms = id->entry.ms,
                     .entry_seq = id->entry.seq,
                     .index = id->index,
                     .at_ns = now.tv_sec * 1'000'000'000ll + now.tv_nsec};
  const std::string_view digits = place.substr(slash + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), record.token);
  if (write(fd, &record, sizeof record) != static_cast<ssize_t>(sizeof record)) {
    _exit(kDiedAtPlace + 1);
  }
}

void take_and_keep(const Leak& leak) {
  for (std::uint64_t i = 0; i < leak.descriptors; ++i) {
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) break;  // there are no more
  }
  if (leak.bytes == 0) return;
  auto* const memory = static_cast<volatile char*>(std::malloc(leak.bytes));
  for (std::uint64_t i = 0; memory && i < leak.bytes; i += 512) memory[i] = 1;
}

void write_now(const std::string& file) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::string text = fmt::format("{}\n", now.tv_sec * 1'000'000'000ll + now.tv_nsec);
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (write(fd, text.data(), text.size()) < 0) _exit(kDiedAtPlace + 1);
  close(fd);
}

}  // namespace

Result<void> switch_off(std::string_view list, const ProtectionNames& protections) {
  while (!list.empty()) {
    const std::size_t end = list.find(',');
    const std::string_view name = list.substr(0, end);
    const auto found = std::find_if(protections.begin(), protections.end(),
                                    [&](const auto& known) { return known.first == name; });
    if (found == protections.end()) {
      return reject(fmt::format("{}: no protection is named '{}'", kWithoutVariable, name));
    }
    *found->second = false;
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
  return {};
}

Result<Failpoint> failpoint_from_environment() {
  const char* const die_at = std::getenv(kDieAtVariable);
  const char* const first_at = std::getenv(kFirstAtVariable);
  const char* const leak_at = std::getenv(kLeakVariable);
  const char* const tokens = std::getenv(kTokensVariable);
  if (!die_at && !first_at && !leak_at && !tokens) return Failpoint{};
  const int token_file =
      tokens ? open(tokens, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (tokens && token_file < 0) return reject(fmt::format("cannot open {}", tokens));
  Leak leak;
  if (leak_at) {
    auto parsed = parse_leak(leak_at);
    if (!parsed) return parsed.error();
    leak = *std::move(parsed);
  }
  DieAt die;
  if (die_at) {
    auto parsed = parse_die_at(die_at);
    if (!parsed) return parsed.error();
    die = *std::move(parsed);
  }
  FirstAt first;
  if (first_at) {
    const std::string_view text = first_at;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
      return reject(fmt::format("{}: '{}' is not place:file", kFirstAtVariable, text));
    }
    first = {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  }
  return Failpoint([die, first, leak, token_file, passed = std::uint64_t{0},
                    noted = false](std::string_view place) mutable {
    if (place == die.place && ++passed == die.passing) {
      if (die.stall_ms > 0) usleep(static_cast<useconds_t>(die.stall_ms * 1000));
      _exit(kDiedAtPlace);
    }
    if (!noted && place == first.place) {
      noted = true;
      write_now(first.file);
    }
    if (place == leak.place) take_and_keep(leak);
    if (token_file >= 0) write_token(token_file, place);
  });
}

}  // namespace fanfare::chaos
