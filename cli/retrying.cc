#include "cli/retrying.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "cli/output.h"
#include "store/keys.h"
#include "store/row.h"

namespace fanfare::cli {
namespace {

Result<std::optional<Retrying>> read_one(RedisSync& redis, const std::string& function,
                                         const protocol::EventId& id) {
  const std::string member = to_string(id);
  const auto due = redis.call({"ZSCORE", store::later_key(function), member});
  if (!due) return due.error();
  if ((*due)->is_error()) return reject("Redis: " + std::string((*due)->text()));
  if ((*due)->is_nil()) return std::optional<Retrying>{};
  Retrying retrying{id, function, std::nullopt, 0};
  retrying.due_ms =
      static_cast<std::int64_t>(std::strtod(std::string((*due)->text()).c_str(), nullptr));
  const auto reply = redis.call({"HGET", store::rows_key(function), member});
  if (!reply) return reply.error();
  if ((*reply)->is_nil()) return std::optional<Retrying>{};  // it has ended in between
  const auto row = store::view_later_row((*reply)->text());
  if (!row) return row.error();
  auto ledger = protocol::unpack_ledger(row->ledger);
  if (!ledger) return ledger.error();
  if (!ledger->empty()) retrying.last = std::move(ledger->back());
  return std::optional(std::move(retrying));
}

}  // namespace

Result<std::vector<Retrying>> read_retrying(RedisSync& redis,
                                            const std::vector<std::string>& functions,
                                            const protocol::EventId& id) {
  std::vector<Retrying> found;
  for (const auto& function : functions) {
    auto one = read_one(redis, function, id);
    if (!one) return one.error();
    if (*one) found.push_back(**std::move(one));
  }
  return found;
}

Result<std::optional<Retrying>> next_retrying(RedisSync& redis, const std::string& function) {
  const auto reply = redis.call({"ZRANGE", store::later_key(function), "0", "0"});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  if ((*reply)->size() == 0) return std::optional<Retrying>{};
  const auto id = protocol::parse_event_id((**reply)[0].text());
  if (!id) return id.error();
  return read_one(redis, function, *id);
}

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::uint32_t attempt_after(const protocol::AttemptRow& last) {
  return protocol::counts_against_budget(last.outcome) ? last.number + 1
                                                       : std::max<std::uint32_t>(1, last.number);
}

std::string format_retrying(const Retrying& retrying, WallTime now) {
  const std::int64_t now_ms = to_ms(now);
  const std::string when = retrying.due_ms > now_ms
                               ? "in " + human_ms(static_cast<double>(retrying.due_ms - now_ms))
                               : std::string("runs or waits for a free instance");
  if (!retrying.last) return fmt::format("{}: attempt 1 {}", retrying.function, when);
  const auto& last = *retrying.last;
  if (last.outcome == protocol::Outcome::kRedriven) {
    return fmt::format("{}: redriven; attempt 1 {}", retrying.function, when);
  }
  const std::string why = last.error_type.empty()
                              ? std::string{}
                              : fmt::format(" ({}: {})", last.error_type, last.error_message);
  return fmt::format("{}: attempt {} {}{}; attempt {} {}", retrying.function, last.number,
                     protocol::to_string(last.outcome), why, attempt_after(last), when);
}

}  // namespace fanfare::cli
