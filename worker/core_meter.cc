// Metering: what attempts use, told to Redis once a second.
#include <algorithm>

#include "protocol/event.h"
#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr Duration kMeterEvery = std::chrono::seconds{1};

}  // namespace

// Nearly all events have no tenant: their usage is added up at the function, without a search.
void Core::meter(const Held& held, const protocol::AttemptRow& row, Now now) {
  if (!meter_.on()) return;
  const std::int64_t hour = store::hour_of(to_ms(now.wall));
  if (hour != usage_hour_) {
    gather_usage();
    usage_hour_ = hour;
  }
  Function& function = *held.function;
  const std::uint64_t billed_ms = protocol::billed_ms(row);
  const store::Usage usage{.invocations = 1,
                           .failed = row.outcome == protocol::Outcome::kOk ? 0u : 1u,
                           .billed_ms = billed_ms,
                           .mb_ms = billed_ms * (function.manifest.memory_bytes >> 20),
                           .peak_memory_kb = row.peak_memory_kb};
  // Its lane tells whether there may be one, but an invocation lies in none.
  const bool none = held.lane.is_plain() && held.origin != protocol::Origin::kInvoke;
  const std::string_view tenant =
      none ? std::string_view{} : protocol::tenant_of(held.packed_event);
  if (tenant.empty()) {
    function.usage += usage;
  } else {
    meter_.add(hour, function.spec.name, tenant, usage);
  }
}

void Core::gather_usage() {
  for (auto& [name, function] : functions_) {
    if (function->usage.invocations == 0) continue;
    meter_.add(usage_hour_, name, {}, std::exchange(function->usage, {}));
  }
}

void Core::send_usage(Now now) {
  if (!meter_.on() || now.steady < next_meter_) return;
  next_meter_ = now.steady + kMeterEvery;
  gather_usage();
  if (const store::Meter* const call = meter_.take(now.steady)) effects_.meter(*call);
}

void Core::on_meter_answer(Now now) {
  // What did not fit into that call goes at once; what has come since has its time.
  if (meter_.on_answer() && !meter_.idle()) next_meter_ = now.steady;
  if (!meter_.idle()) due(next_meter_);
}

void Core::on_meter_failed(const Error& error, Now now) {
  if (meter_.on_failed(error.kind, now.steady)) {
    effects_.warn("Redis refuses what was used, which is not metered: " + error.message);
  }
}

// A leaving worker's last second counts, too, if Redis takes it in time.
bool Core::usage_is_told(Now now) {
  if (!meter_.on()) return true;
  gather_usage();
  if (meter_.idle()) return true;
  next_meter_ = std::min(next_meter_, now.steady);
  send_usage(now);
  return false;
}

}  // namespace fanfare::worker
