#include "broker/fair_queue.h"

#include <algorithm>
#include <utility>

namespace fanfare::broker {
namespace {

constexpr std::size_t kFreshInRowMax = 8;

}  // namespace

FairQueue::Flow& FairQueue::flow_of(const Pending& delivery) {
  if (delivery.ordered) return ordered_;
  if (delivery.flow == 0) return plain_;
  Flow& flow = tenants_[delivery.flow];
  flow.name = delivery.flow;
  return flow;
}

void FairQueue::forget(Flow* flow) {
  flow->listed = false;
  if (flow != &plain_ && flow != &ordered_) tenants_.erase(flow->name);
}

// Some have been taken out of turn.
void FairQueue::tidy() {
  std::erase_if(fresh_, [this](Flow* flow) {
    const bool is_empty = flow->waiting.empty();
    if (is_empty) forget(flow);
    return is_empty;
  });
  forget_if_empty();
}

void FairQueue::forget_if_empty() {
  if (size_ > 0) return;
  for (Flow* flow : std::exchange(fresh_, {})) forget(flow);
  for (Flow* flow : std::exchange(turns_, {})) forget(flow);
}

void FairQueue::push(Pending&& delivery) {
  Flow& flow = flow_of(delivery);
  if (!std::exchange(flow.listed, true)) fresh_.push_back(&flow);
  flow.waiting.push_back(std::move(delivery));
  ++size_;
}

// Takes the tenant that goes next out of its list.
FairQueue::Flow* FairQueue::next() {
  while (true) {
    const bool fresh = !fresh_.empty() && (fresh_in_row_ < kFreshInRowMax || turns_.empty());
    std::deque<Flow*>& list = fresh ? fresh_ : turns_;
    Flow* const flow = list.front();
    list.pop_front();
    if (!flow->waiting.empty()) {
      fresh_in_row_ = fresh ? fresh_in_row_ + 1 : 0;
      return flow;
    }
    forget(flow);
  }
}

Pending FairQueue::take() {
  return take_from(next());
}

Pending FairQueue::take_fresh() {
  Flow* const flow = fresh_.front();
  fresh_.pop_front();
  return take_from(flow);
}

Pending FairQueue::take_from(Flow* flow) {
  Pending delivery = flow->waiting.pop_front();
  turns_.push_back(flow);
  --size_;
  forget_if_empty();
  return delivery;
}

std::optional<Pending> FairQueue::take_by_id(const protocol::EventId& id) {
  const auto wanted = [&](const Pending& one) { return one.id == id; };
  Pending found;
  for (const std::deque<Flow*>* list : {&fresh_, &turns_}) {
    for (Flow* const flow : *list) {
      if (!flow->waiting.take_if(wanted, found)) continue;
      --size_;
      tidy();
      return found;
    }
  }
  return std::nullopt;
}

const Pending* FairQueue::find(const protocol::EventId& id) const {
  const auto wanted = [&](const Pending& one) { return one.id == id; };
  for (const std::deque<Flow*>* list : {&fresh_, &turns_}) {
    for (const Flow* flow : *list) {
      if (const Pending* one = flow->waiting.find_if(wanted)) return one;
    }
  }
  return nullptr;
}

std::size_t FairQueue::tenants() const {
  const auto has = [](const Flow* flow) { return !flow->waiting.empty(); };
  return static_cast<std::size_t>(std::ranges::count_if(fresh_, has) +
                                  std::ranges::count_if(turns_, has));
}

std::int64_t FairQueue::oldest_ms() const {
  std::int64_t oldest = 0;
  for (const std::deque<Flow*>* list : {&fresh_, &turns_}) {
    for (const Flow* flow : *list) {
      if (flow->waiting.empty()) continue;
      const std::int64_t first = flow->waiting.front().accepted_ms;
      oldest = oldest == 0 ? first : std::min(oldest, first);
    }
  }
  return oldest;
}

}  // namespace fanfare::broker
