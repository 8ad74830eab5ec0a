#include "broker/fair_queue.h"

#include <algorithm>
#include <utility>

namespace fanfare::broker {

FairQueue::Flow& FairQueue::flow_of(const Pending& delivery) {
  if (delivery.ordered) return ordered_;
  if (delivery.flow == 0) return plain_;
  Flow& flow = tenants_[delivery.flow];
  flow.name = delivery.flow;
  return flow;
}

void FairQueue::forget(Flow* flow) {
  if (flow != &plain_ && flow != &ordered_) tenants_.erase(flow->name);
}

void FairQueue::push(Pending&& delivery) {
  Flow& flow = flow_of(delivery);
  if (flow.waiting.empty()) turns_.push_back(&flow);
  flow.waiting.push_back(std::move(delivery));
}

Pending FairQueue::take() {
  Flow* const flow = turns_.front();
  Pending delivery = flow->waiting.pop_front();
  if (flow->waiting.empty()) {
    turns_.pop_front();
    forget(flow);
  } else if (turns_.size() > 1) {
    turns_.pop_front();
    turns_.push_back(flow);
  }
  return delivery;
}

std::optional<Pending> FairQueue::take_by_id(const protocol::EventId& id) {
  const auto wanted = [&](const Pending& one) { return one.id == id; };
  Pending found;
  for (auto at = turns_.begin(); at != turns_.end(); ++at) {
    Flow* const flow = *at;
    if (!flow->waiting.take_if(wanted, found)) continue;
    if (flow->waiting.empty()) {
      turns_.erase(at);
      forget(flow);
    }
    return found;
  }
  return std::nullopt;
}

const Pending* FairQueue::find(const protocol::EventId& id) const {
  for (const Flow* flow : turns_) {
    if (const Pending* one =
            flow->waiting.find_if([&](const Pending& waiting) { return waiting.id == id; })) {
      return one;
    }
  }
  return nullptr;
}

std::int64_t FairQueue::oldest_ms() const {
  std::int64_t oldest = 0;
  for (const Flow* flow : turns_) {
    const std::int64_t first = flow->waiting.front().accepted_ms;
    oldest = oldest == 0 ? first : std::min(oldest, first);
  }
  return oldest;
}

}  // namespace fanfare::broker
