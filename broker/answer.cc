#include "broker/answer.h"

#include <algorithm>
#include <cstring>

namespace fanfare::broker {
namespace {

using protocol::Published;
using protocol::PublishRun;
using Fate = PublishRun::Fate;

std::uint32_t route_number(Published& answer, const std::vector<std::string>& route) {
  // Batches know few distinct routes and neighbours mostly share the latest one.
  for (std::size_t i = answer.routes.size(); i-- > 0;) {
    if (answer.routes[i] == route) return static_cast<std::uint32_t>(i);
  }
  answer.routes.push_back(route);
  return static_cast<std::uint32_t>(answer.routes.size() - 1);
}

std::uint32_t error_number(Published& answer, const protocol::PublishError& error) {
  if (!answer.errors.empty() && answer.errors.back().code == error.code &&
      answer.errors.back().message == error.message) {
    return static_cast<std::uint32_t>(answer.errors.size() - 1);
  }
  answer.errors.push_back(error);
  return static_cast<std::uint32_t>(answer.errors.size() - 1);
}

bool continues(const PublishRun& run, const PublishRun& next) {
  if (run.fate != next.fate || run.detail != next.detail) return false;
  if (run.fate == Fate::kRefused) return true;
  return run.first.entry == next.first.entry && run.first.index + run.count == next.first.index;
}

void add_run(Published& answer, const PublishRun& run) {
  if (!answer.runs.empty() && continues(answer.runs.back(), run)) {
    answer.runs.back().count += run.count;
  } else {
    answer.runs.push_back(run);
  }
}

}  // namespace

void add_accepted(Published& answer, const protocol::EventId& id,
                  const std::vector<std::string>& route) {
  add_run(answer, {Fate::kAccepted, id, 1, route_number(answer, route)});
}

void add_duplicate(Published& answer, const protocol::EventId& first,
                   const std::vector<std::string>& route) {
  add_run(answer, {Fate::kDuplicate, first, 1, route_number(answer, route)});
}

void add_refused(Published& answer, protocol::Refusal code, const std::string& message) {
  add_run(answer, {Fate::kRefused, {}, 1, error_number(answer, {code, message})});
}

void merge(Published& answer, const Published& more) {
  for (PublishRun run : more.runs) {
    run.detail = run.fate == Fate::kRefused ? error_number(answer, more.errors[run.detail])
                                            : route_number(answer, more.routes[run.detail]);
    add_run(answer, run);
  }
}

std::size_t events_answered(const Published& answer) {
  std::size_t events = 0;
  for (const PublishRun& run : answer.runs) events += run.count;
  return events;
}

std::string pack_guard_part(Published part, std::size_t events_before) {
  part.sequence = events_before;  // the batch's own stands beside it already
  const std::string encoded = protocol::encode(part);
  const auto length = static_cast<std::uint32_t>(encoded.size());
  std::string packed(sizeof length, '\0');
  std::memcpy(packed.data(), &length, sizeof length);
  return packed + encoded;
}

Result<Published> unpack_guard_parts(std::uint64_t sequence, std::string_view packed) {
  Published answer{.sequence = sequence, .runs = {}, .routes = {}, .errors = {}};
  while (!packed.empty()) {
    std::uint32_t length = 0;
    if (packed.size() < sizeof length) return reject("the repeat guard holds a truncated part");
    std::memcpy(&length, packed.data(), sizeof length);
    packed.remove_prefix(sizeof length);
    if (packed.size() < length) return reject("the repeat guard holds a truncated part");
    auto message = protocol::decode(packed.substr(0, length));
    if (!message) return message.error();
    const auto* part = std::get_if<Published>(&*message);
    if (!part) return reject("the repeat guard holds another message");
    if (part->sequence > protocol::kBatchEventsMax) return reject("the repeat guard is too long");
    for (std::size_t events = events_answered(answer); events < part->sequence; ++events) {
      add_refused(answer, protocol::Refusal::kQueueFull, "Redis had no room for it; publish again");
    }
    merge(answer, *part);
    packed.remove_prefix(length);
  }
  return answer;
}

}  // namespace fanfare::broker
