#include "broker/relay_table.h"

namespace fanfare::broker {

RelayTable::Admission RelayTable::admit(Ticket ticket, SessionId session, std::uint64_t request,
                                        std::size_t bytes) {
  const auto at = load_.find(session);
  if (at != load_.end()) {
    const Load& load = at->second;
    if (load.requests.contains(request)) return Admission::kUnderWay;
    if (load.requests.size() >= limits_.calls_per_worker ||
        load.bytes + bytes > limits_.bytes_per_worker) {
      return Admission::kFull;
    }
  }
  const bool first = at == load_.end();
  const std::size_t calls_max = limits_.calls_max + (first ? limits_.first_calls_max : 0);
  const std::uint64_t bytes_max = limits_.bytes_max + (first ? limits_.first_bytes_max : 0);
  const bool full = asked_.size() >= calls_max || bytes_ + bytes > bytes_max;
  if (full && !asked_.empty()) return Admission::kFull;
  Load& load = load_[session];
  load.requests.insert(request);
  load.bytes += bytes;
  bytes_ += bytes;
  asked_.emplace(ticket, UnderWay{{session, request}, bytes});
  return Admission::kTaken;
}

std::optional<RelayTable::Asked> RelayTable::end(Ticket ticket) {
  const auto at = asked_.find(ticket);
  if (at == asked_.end()) return std::nullopt;
  const UnderWay ended = at->second;
  asked_.erase(at);
  bytes_ -= ended.bytes;
  const auto load = load_.find(ended.by.session);
  load->second.requests.erase(ended.by.request);
  load->second.bytes -= ended.bytes;
  if (load->second.requests.empty()) load_.erase(load);
  return ended.by;
}

}  // namespace fanfare::broker
