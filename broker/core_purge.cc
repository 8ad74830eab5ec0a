// Operators empty a function's queue: everything accepted up to that instant that no worker has
// ends as `cancelled`, reason `purged`.
//
// A mark says up to which entry. What waits here is taken from the windows, what the journal holds
// is read into them first, what lies in `later` is read from its beginning, due or not. What is on
// its way (an append, a page, a move) meets the mark when it arrives. A bounded number of endings
// is under way at a time, so that everything else goes on beside it.
//
// The mark is this broker's alone: a restart stops the purge where it is, and whoever asks how far
// it is learns that.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "broker/core_admin.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;
using protocol::Refusal;

constexpr std::size_t kRowsAtOnce = 128;

}  // namespace

// Begins one, or joins the one under way; with its number, only says how far it is.
void Core::purge(const AdminCall& admin) {
  FunctionState* const function = find_function(admin.name);
  if (!function) {
    return refuse_admin(admin, Refusal::kNoSuchFunction,
                        fmt::format("no function is named '{}'", admin.name));
  }
  const auto asked = admin.body.find("purge");
  const std::uint64_t number =
      asked != admin.body.end() && asked->is_number_unsigned() ? asked->get<std::uint64_t>() : 0;
  if (number != 0 && number == function->last_purge && !function->purge) {
    return answer_admin(admin, json{{"name", admin.name},
                                    {"purge", number},
                                    {"cancelled", function->last_purged},
                                    {"done", true}}
                                   .dump());
  }
  if (number != 0 && (!function->purge || function->purge->number != number)) {
    return refuse_admin(admin, Refusal::kUnavailable,
                        "the broker was started anew, which has stopped the purge; what it had not "
                        "reached is still queued");
  }
  if (phase_ != Phase::kRunning || !function->surveyed) {
    return refuse_admin(admin, Refusal::kUnavailable, "the broker is starting; try again");
  }
  if (!function->purge) {
    Purge& begun = function->purge.emplace();
    begun.number = (std::uint64_t{epoch_} << 24) + next_purge_++;
    begun.up_to = last_entry_;
    function->leases.for_each([&](const Lease& lease) { begun.spared.insert(lease.delivery.id); });
    for (const auto& [id, by] : function->announced) begun.spared.insert(id);
    // Those that are being retried or put off now are queued as well.
    for (const auto& [id, delivery] : function->moving) {
      if (is_purged(*function, delivery)) {
        function->unwanted.emplace(id, protocol::DeadReason::kPurged);
      }
    }
    touch(*function);
  }
  answer_admin(admin, json{{"name", admin.name},
                           {"purge", function->purge->number},
                           {"cancelled", function->purge->cancelled},
                           {"done", false}}
                          .dump());
}

bool Core::is_purged(const FunctionState& function, const Pending& delivery) {
  return delivery.id.entry <= function.purge->up_to &&
         delivery.origin != protocol::Origin::kInvoke &&
         !function.purge->spared.contains(delivery.id);
}

void Core::purge_on(FunctionState& function, Now now) {
  const auto wanted = [&](const Pending& delivery) { return is_purged(function, delivery); };
  const auto room = [&] {
    return options_.purged_at_once - std::min(options_.purged_at_once, function.purge->under_way);
  };
  for (Pending& delivery : function.queue.take_if(wanted, room())) {
    end_cancelled(function, std::move(delivery), own_token(), protocol::DeadReason::kPurged, now);
  }
  for (auto at = function.suspects.begin(); at != function.suspects.end() && room() > 0;) {
    if (!wanted(*at)) {
      ++at;
      continue;
    }
    end_cancelled(function, std::move(*at), own_token(), protocol::DeadReason::kPurged, now);
    at = function.suspects.erase(at);
  }
  if (room() >= std::min(kRowsAtOnce, options_.purged_at_once)) read_purged_rows(function);
  if (!purge_is_over(function)) return;
  function.last_purge = function.purge->number;
  function.last_purged = function.purge->cancelled;
  function.purge.reset();
}

void Core::read_purged_rows(FunctionState& function) {
  Purge& purge = *function.purge;
  if (purge.reading || purge.rows_read) return;
  purge.reading = true;
  call(store::Due{.function = function.name,
                  .from_ms = purge.cursor_ms,
                  .until_ms = std::numeric_limits<std::int64_t>::max(),
                  .after = purge.cursor_id,
                  .rows_max =
                      static_cast<std::uint32_t>(std::min(kRowsAtOnce, options_.purged_at_once))},
       ForPurgedRows{&function, purge.number});
}

void Core::on_purged_rows(ForPurgedRows& purpose, Result<store::Answer>& answer, Now now) {
  FunctionState& function = *purpose.function;
  if (!function.purge || function.purge->number != purpose.purge) return;
  Purge& purge = *function.purge;
  purge.reading = false;
  auto* const rows = answer ? std::get_if<store::DueRows>(&*answer) : nullptr;
  if (!rows) return;  // asked again with the next tick
  touch(function);
  purge.rows_read = !rows->next_due_ms;
  for (auto& row : rows->rows) {
    purge.cursor_ms = row.due_ms;
    purge.cursor_id = row.id;
    // Those that were read as due wait in the windows, or are moving, or run.
    const bool elsewhere = function.later.holds(row.id) || function.moving.contains(row.id) ||
                           function.leases.contains(row.id) ||
                           function.later.has_just_ended(row.id);
    if (elsewhere) continue;
    Pending delivery = pending_of(std::move(row));
    if (!is_purged(function, delivery)) continue;
    end_cancelled(function, std::move(delivery), own_token(), protocol::DeadReason::kPurged, now);
  }
}

// Nothing is left up to the mark: not here, not unread, not on its way.
bool Core::purge_is_over(const FunctionState& function) const {
  const Purge& purge = *function.purge;
  if (!purge.rows_read || purge.under_way > 0 || !function.unwanted.empty()) return false;
  if (function.queue.has_unread_up_to(purge.up_to)) return false;
  const auto is_of_it = [&](const Pending& delivery) { return is_purged(function, delivery); };
  if (function.queue.holds_any(is_of_it) || std::ranges::any_of(function.suspects, is_of_it)) {
    return false;
  }
  return std::ranges::none_of(purposes_, [&](const auto& purpose) {
    const auto* const append = std::get_if<ForAppend>(&purpose.second);
    const auto* const caused = std::get_if<ForRepublish>(&purpose.second);
    return (append && append->chunk->entry <= purge.up_to) ||
           (caused && caused->chunk->entry <= purge.up_to);
  });
}

}  // namespace fanfare::broker
