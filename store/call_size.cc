// About how large calls are: what bounds them, and what is in flight, goes by it.
#include "store/encode.h"
#include "store/rows.h"

namespace fanfare::store {
namespace {

std::size_t size_of_effect(const Publish& publish) {
  return publish.to.size() + publish.packed_event.size() + 32;
}

std::size_t size_of_effect(const RowWrites& writes) {
  return writes.packed.size() + 64;
}

struct Sizer {
  std::size_t operator()(const Append& call) const {
    std::size_t sum = 0;
    for (const auto& stream : call.streams) {
      for (const auto& item : stream.items) sum += item.packed_event.size() + 16;
    }
    for (const auto& guard : call.guards) sum += guard.packed_runs.size() + 64;
    sum += call.taken.size() * 32;
    for (const auto& claim : call.claims) sum += claim.packed.size() + 64;
    for (const auto& delayed : call.delayed) {
      for (const auto& item : delayed.items) sum += item.packed_event.size() + 64;
    }
    return sum;
  }
  std::size_t operator()(const Commit& call) const {
    std::size_t sum = 0;
    for (const auto& group : call.groups) {
      for (const auto& item : group.items) {
        sum += item.record.size() + 16;
        if (!item.effects.empty()) sum += bytes_of(item.effects);
      }
    }
    return sum;
  }
  std::size_t operator()(const Postpone& call) const {
    std::size_t sum = 0;
    for (const auto& item : call.items) {
      sum += item.packed_event.size() + item.packed_ledger.size() + item.key_held.size() + 64;
    }
    return sum;
  }
  std::size_t operator()(const Bury& call) const {
    std::size_t sum = 0;
    for (const auto& item : call.items) {
      sum += item.packed_event.size() + item.record.size() + 64 + bytes_of(item.effects);
    }
    return sum;
  }
  std::size_t operator()(const Lookup& call) const { return 64 * call.keys.size(); }
  std::size_t operator()(const Redrive& call) const {
    std::size_t sum = 0;
    for (const auto& item : call.items) {
      sum += item.packed_event.size() + item.packed_ledger.size() + 128;
    }
    return sum;
  }
  std::size_t operator()(const Deploy& call) const { return call.manifest_toml.size(); }
  std::size_t operator()(const GetRows& call) const {
    std::size_t sum = 0;
    for (const std::string& key : call.keys) sum += key.size() + 32;
    return sum;
  }
  std::size_t operator()(const WriteRows& call) const { return call.packed.size(); }
  std::size_t operator()(const SetSchedule& call) const { return call.definition.size(); }
  std::size_t operator()(const SetTopics& call) const {
    std::size_t bytes = 0;
    for (const auto& item : call.items) bytes += item.name.size() + item.definition.size();
    return bytes;
  }
  std::size_t operator()(const Fire& call) const {
    std::size_t sum = 2 * kScheduleRowMax;
    for (const std::string& event : call.packed_events) sum += event.size() + 16;
    return sum;
  }
  std::size_t operator()(const Meter& call) const { return 256 * call.rows.size(); }
  std::size_t operator()(const auto&) const { return 0; }
};

}  // namespace

std::size_t bytes_of(const Effects& effects) {
  std::size_t sum = 0;
  for (const Effect& effect : effects) {
    sum += std::visit([](const auto& one) { return size_of_effect(one); }, effect);
  }
  return sum;
}

std::size_t size_of(const Call& call) {
  return 256 + std::visit(Sizer{}, call);
}

}  // namespace fanfare::store
