#include "worker/meter.h"

#include <algorithm>

namespace fanfare::worker {
namespace {

constexpr Duration kTellAgainFirst = std::chrono::milliseconds{100};
constexpr Duration kTellAgainMax = std::chrono::seconds{5};

}  // namespace

void Meter::add(std::int64_t hour, std::string_view function, std::string_view tenant,
                const store::Usage& usage) {
  Key key{hour, function, tenant.substr(0, store::kTenantBytesMax)};
  auto at = rows_.find(key);
  if (at == rows_.end() && rows_.size() >= kRowsMax && !tenant.empty()) {
    std::get<2>(key) = store::kOtherTenants;
    at = rows_.find(key);
  }
  if (at == rows_.end() && rows_.size() >= 2 * kRowsMax) {
    lost_ += usage.invocations;
    return;
  }
  (at == rows_.end() ? rows_[std::move(key)] : at->second) += usage;
}

const store::Meter* Meter::take(TimePoint now) {
  if (under_way_) {
    if (!again_at_ || *again_at_ > now) return nullptr;
    again_at_.reset();
    return &*under_way_;
  }
  if (rows_.empty()) return nullptr;
  store::Meter& call = under_way_.emplace();
  failures_ = 0;
  call.worker = options_.worker;
  call.sequence = ++sequence_;
  call.ttl_ms = std::chrono::duration_cast<std::chrono::milliseconds>(options_.ttl).count();
  call.hour_rows_max = options_.hour_rows_max;
  while (!rows_.empty() && call.rows.size() < store::Meter::kRowsMax) {
    auto node = rows_.extract(rows_.begin());
    auto& [hour, function, tenant] = node.key();
    call.rows.push_back({hour, std::move(function), std::move(tenant), node.mapped()});
  }
  return &call;
}

bool Meter::on_answer() {
  const bool full = under_way_ && under_way_->rows.size() >= store::Meter::kRowsMax;
  under_way_.reset();
  return full;
}

bool Meter::on_failed(ErrorKind kind, TimePoint now) {
  if (!under_way_) return false;
  if (kind == ErrorKind::kReject || kind == ErrorKind::kStale) {
    for (const auto& row : under_way_->rows) lost_ += row.usage.invocations;
    under_way_.reset();
    return true;
  }
  again_at_ =
      now + std::min<Duration>(kTellAgainMax, kTellAgainFirst * (1 << std::min(failures_, 10u)));
  ++failures_;
  return false;
}

}  // namespace fanfare::worker
