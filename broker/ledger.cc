#include "broker/ledger.h"

#include <fmt/format.h>

#include <algorithm>

namespace fanfare::broker {
namespace {

using protocol::AttemptRow;
using protocol::Outcome;

constexpr std::size_t kLedgerBytesMax = 64 * 1024;
constexpr std::size_t kRowsKept = 32;
constexpr std::ptrdiff_t kUnhurtRowsMax = 16;

}  // namespace

History history_of(std::string_view packed_ledger) {
  History history;
  const auto rows = protocol::unpack_ledger(packed_ledger);
  if (!rows) return history;
  const auto latest = protocol::since_redrive(*rows);
  history.redriven = latest.size() < rows->size();
  history.worker_losses = static_cast<std::uint16_t>(
      std::ranges::count(latest, Outcome::kWorkerLost, &AttemptRow::outcome));
  return history;
}

void mark_redriven(std::string& packed_ledger, std::int64_t now_ms) {
  if (packed_ledger.size() > kLedgerBytesMax) {
    const auto rows = protocol::unpack_ledger(packed_ledger);
    packed_ledger.clear();
    const std::size_t count = rows ? rows->size() : 0;
    for (std::size_t i = count - std::min(count, kRowsKept); i < count; ++i) {
      protocol::append_row(packed_ledger, (*rows)[i]);
    }
  }
  AttemptRow mark;
  mark.number = 0;
  mark.outcome = Outcome::kRedriven;
  mark.started_ms = now_ms;
  protocol::append_row(packed_ledger, mark);
}

void note_unhurt(std::string& packed_ledger, const AttemptRow& row) {
  if (!packed_ledger.empty()) {
    const auto rows = protocol::unpack_ledger(packed_ledger);
    const auto unhurt = [](const AttemptRow& one) {
      return one.outcome == Outcome::kDrained || one.outcome == Outcome::kThrottled;
    };
    if (!rows || std::ranges::count_if(*rows, unhurt) >= kUnhurtRowsMax) return;
  }
  protocol::append_row(packed_ledger, row);
}

std::string expiry_message(std::string_view packed_ledger) {
  const auto rows = protocol::unpack_ledger(packed_ledger);
  const auto latest = rows ? protocol::since_redrive(*rows) : std::span<const AttemptRow>{};
  const auto last = std::find_if(latest.rbegin(), latest.rend(), [](const AttemptRow& row) {
    return protocol::counts_against_budget(row.outcome);
  });
  if (last == latest.rend()) return "not started before its expiry";
  return fmt::format("not done before its expiry; attempt {} failed with {}: {}", last->number,
                     last->error_type, last->error_message);
}

}  // namespace fanfare::broker
